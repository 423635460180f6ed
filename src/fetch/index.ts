export { type GitProcessDeps, runGit } from './git-process.ts';
export { createGitRepositories, type GitRepositoriesDeps } from './git-repositories.ts';
export { createHttpFiles, type HttpFilesDeps } from './http-files.ts';
