import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isProgram, programNeeds } from '../../../src/analyze/elf-needs.ts';

/** A 64-bit program with an interpreter and two libraries, as a linker lays it out. */
function program(): Buffer {
  const data = Buffer.alloc(600);
  data.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  data.writeBigUInt64LE(64n, 32);
  data.writeUInt16LE(56, 54);
  data.writeUInt16LE(3, 56);
  const segment = (
    i: number,
    type: number,
    offset: bigint,
    address: bigint,
    size: bigint,
  ): void => {
    const at = 64 + i * 56;
    data.writeUInt32LE(type, at);
    data.writeBigUInt64LE(offset, at + 8);
    data.writeBigUInt64LE(address, at + 16);
    data.writeBigUInt64LE(size, at + 32);
  };
  segment(0, 1, 0n, 0x400000n, 600n);
  segment(1, 3, 300n, 0x40012cn, 10n);
  segment(2, 2, 400n, 0x400190n, 64n);
  data.write('/lib/ld.so\0', 300);
  data.write('\0libfoo.so.1\0libc.so.6\0', 500);
  const entries: readonly (readonly [bigint, bigint])[] = [
    [1n, 1n],
    [1n, 13n],
    [5n, 0x4001f4n],
    [0n, 0n],
  ];
  for (const [i, [tag, value]] of entries.entries()) {
    data.writeBigUInt64LE(tag, 400 + i * 16);
    data.writeBigUInt64LE(value, 408 + i * 16);
  }
  return data;
}

test('a program needs its interpreter and its libraries, a script its interpreter', () => {
  assert.deepEqual(
    [
      programNeeds(program()),
      programNeeds(Buffer.from('#! /usr/bin/env python3\nprint(1)\n')),
      ['\x7fELF', '#!/bin/sh', 'text', ''].map((start) => isProgram(Buffer.from(start, 'latin1'))),
    ],
    [['/lib/ld.so', 'libfoo.so.1', 'libc.so.6'], ['/usr/bin/env'], [true, true, false, false]],
  );
});

test('a program of this machine needs the C library', () => {
  const needs = programNeeds(readFileSync(process.execPath));
  assert.deepEqual(
    [needs.some((need) => /\/ld-/.test(need)), needs.includes('libc.so.6')],
    [true, true],
  );
});

test('a program that was cut off or damaged needs nothing that is known, and is no fault', () => {
  const whole = program();
  const found = Array.from({ length: whole.length }, (_, length) =>
    programNeeds(whole.subarray(0, length)),
  );
  assert.ok(found.every((needs) => needs.length <= 3));
  const damaged = program().fill(0xff, 64, 300);
  assert.deepEqual(programNeeds(damaged), []);
});
