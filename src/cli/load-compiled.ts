import { setFlagsFromString } from 'node:v8';

/**
 * Loads a module all of whose functions are compiled at once, not each when it is first called: the compile cache keeps
 * only what was compiled while a module was loaded. They also gather feedback from their first call on and not from their
 * ninth: without it V8 makes each object and reads each property in its slowest way. For code of which every run of a
 * command uses most.
 */
export async function loadCompiled(load: () => Promise<unknown>): Promise<void> {
  setFlagsFromString('--no-lazy');
  setFlagsFromString('--no-lazy-feedback-allocation');
  try {
    await load();
  } finally {
    setFlagsFromString('--lazy');
    setFlagsFromString('--lazy-feedback-allocation');
  }
}
