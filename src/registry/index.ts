export { type Credential, type CredentialSource, dockerCredentials } from './credentials.ts';
export { type HostFiles, hostConfigs } from './host-files.ts';
export { type HostConfig, isLoopback } from './hosts.ts';
export { createRegistry, type RegistryDeps } from './registry.ts';
export { type ImageSource, pickManifest, resolveImage } from './resolve.ts';
