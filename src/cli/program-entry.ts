/** What the bundle's start (`boot.ts`) finds in the script that is the program. */
export { main, start } from './run-process.ts';
