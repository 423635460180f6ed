import { setFlagsFromString } from 'node:v8';

/**
 * Loads a module all of whose functions are compiled at once, not each when it is first called: the compile cache keeps
 * only what was compiled while a module was loaded. For code of which every run of a command uses most.
 */
export async function loadCompiled(load: () => Promise<unknown>): Promise<void> {
  setFlagsFromString('--no-lazy');
  try {
    await load();
  } finally {
    setFlagsFromString('--lazy');
  }
}
