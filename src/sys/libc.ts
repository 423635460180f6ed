import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import { bytesOfName } from '../base/index.ts';

type Koffi = typeof import('koffi');

/** A C function: numbers, 64-bit numbers and bytes in, a number out (-1 means that errno says why). */
type CFunction = (...args: readonly (number | bigint | Uint8Array | null)[]) => number | bigint;

const INT = 'int';
const LONG = 'int64_t';
const BYTES = 'uint8_t *';

/** Result and parameter types of what is bound, by name in the C library. `ssize_t` and `size_t` are 64 bits wide. */
const PROTOTYPES = {
  mount: [INT, [BYTES, BYTES, BYTES, 'uint64_t', BYTES]],
  umount2: [INT, [BYTES, INT]],
  lgetxattr: [LONG, [BYTES, BYTES, BYTES, LONG]],
  lsetxattr: [INT, [BYTES, BYTES, BYTES, LONG, INT]],
  llistxattr: [LONG, [BYTES, BYTES, LONG]],
  lremovexattr: [INT, [BYTES, BYTES]],
  flock: [INT, [INT, INT]],
  mknod: [INT, [BYTES, 'uint32_t', 'uint64_t']],
  renameat2: [INT, [INT, BYTES, INT, BYTES, 'uint32_t']],
  utimensat: [INT, [INT, BYTES, BYTES, INT]],
  syncfs: [INT, [INT]],
  copy_file_range: [LONG, [INT, BYTES, INT, BYTES, LONG, 'uint32_t']],
  lseek: [LONG, [INT, LONG, INT]],
  pipe2: [INT, [BYTES, INT]],
} as const;

/** System calls that the C library may not wrap, by number: those above 424 have the same number on every architecture. */
const NUMBERED = {
  move_mount: [429, [INT, BYTES, INT, BYTES, 'uint32_t']],
  fsopen: [430, [BYTES, 'uint32_t']],
  fsconfig: [431, [INT, 'uint32_t', BYTES, BYTES, INT]],
  fsmount: [432, [INT, 'uint32_t', 'uint32_t']],
} as const;

type Name = keyof typeof PROTOTYPES;
type Numbered = keyof typeof NUMBERED;

interface Library {
  readonly errno: () => number;
  readonly bind: (name: Name | Numbered) => CFunction;
}

/*
 * The one piece of module state: koffi and the functions bound so far. Loading koffi costs 10 ms, which a command that
 * makes no system call of these must not pay; what is bound never changes.
 */
let library: Library | undefined;

function load(): Library {
  // `require` is untyped; koffi's own declarations say what it returns.
  const koffi = createRequire(import.meta.url)('koffi') as Koffi;
  const self = koffi.load(null);
  const bound = new Map<string, CFunction>();
  const make = (name: Name | Numbered): CFunction => {
    if (name in PROTOTYPES) {
      const [result, parameters] = PROTOTYPES[name as Name];
      return self.func(name, result, [...parameters]);
    }
    // The branch above took the other names.
    const [number, parameters] = NUMBERED[name as Numbered];
    const raw = self.func('syscall', LONG, [LONG, ...parameters]) as unknown as CFunction;
    return (...args) => raw(number, ...args);
  };
  return {
    errno: () => koffi.errno(),
    bind: (name) => {
      const known = bound.get(name);
      if (known !== undefined) return known;
      const made = make(name);
      bound.set(name, made);
      return made;
    },
  };
}

/** Calls a C function and returns its result, or the negated errno when it failed. */
export function call(
  name: Name | Numbered,
  ...args: readonly (number | bigint | Uint8Array | null)[]
): number {
  library ??= load();
  const result = Number(library.bind(name)(...args));
  return result === -1 ? -library.errno() : result;
}

/** As `call`, but failures are thrown as Node's own system errors are (`code`, `errno`, `syscall`, `path`). */
export function must(
  name: Name | Numbered,
  path: string | undefined,
  ...args: readonly (number | bigint | Uint8Array | null)[]
): number {
  const result = call(name, ...args);
  if (result < 0) throw systemError(-result, name, path);
  return result;
}

/** A system error in the shape of Node's, so that `isErrno` knows it. */
export function systemError(
  errno: number,
  syscall: string,
  path?: string,
  detail?: string,
): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  const where = path === undefined ? '' : ` '${path}'`;
  const why = detail === undefined ? '' : ` (${detail})`;
  const error: NodeJS.ErrnoException = new Error(`${code}: ${syscall}${where}${why}`);
  error.code = code;
  error.errno = -errno;
  error.syscall = syscall;
  if (path !== undefined) error.path = path;
  return error;
}

/** A path or name as a C string; one that holds a NUL is refused as the kernel would never see it whole. */
export function cString(text: string): Uint8Array {
  const bytes = bytesOfName(text);
  const out = new Uint8Array(bytes.length + 1);
  out.set(bytes);
  if (bytes.includes(0)) throw systemError(22, 'path', text.replaceAll('\0', '\\0'));
  return out;
}

/** `AT_FDCWD`. */
export const AT_FDCWD = -100;
