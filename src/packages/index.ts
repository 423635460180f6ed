export type { ProxyEnvironment } from './host-apt.ts';
export type { RefreshPolicy } from './repository.ts';
export type { ResolveOptions } from './resolve-template.ts';
export { readRpmDatabase, readRpmDatabaseBytes } from './rpm-database.ts';
export { createPackageStore, type PackageStore, type PackageStoreOptions } from './store.ts';
export { type PackageFault, verifyPackages } from './verify.ts';
export { compareVersions, satisfies, type VersionRelation } from './version.ts';
