/*
 * The program from its sources (`program-entry.ts` is the start of the bundle). Commands are imported when they are run, and nothing before
 * compiled code is kept.
 */
import { keepCompiledCode } from './compile-cache.ts';

keepCompiledCode();
const { main } = await import('./run-process.ts');
await main();
