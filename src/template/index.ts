export { debianArchitecture } from './debian-architecture.ts';
export {
  encodeLock,
  imageConfigOf,
  LOCK_ATTR,
  type LockedPackage,
  type LockedSource,
  lockKey,
  lockOf,
  parseLock,
  type RpmLock,
  TEMPLATE_SCHEME,
  type TemplateLock,
  templateSource,
} from './lock.ts';
export { bareLock, partOfLock } from './lock-parts.ts';
export { type OsRoots, osRoots } from './os-root.ts';
export {
  type OsDocument,
  type OsPart,
  type OsPartition,
  type OsRepository,
  type OsUser,
  osSchema,
} from './os-schema.ts';
export {
  isOsTemplate,
  mergeOsTemplate,
  type OsLayer,
  type OsTemplate,
  type Placed,
  parseOsPart,
} from './os-template.ts';
export { type Provider, parseProvider, providerOf, rootOpeners } from './provider.ts';
export {
  encodeRootSnapshot,
  parseRootSnapshot,
  type RootSnapshot,
  rootSnapshotBytes,
  SNAPSHOT_HEAD_BYTES,
} from './root-snapshot.ts';
export {
  isRpmTemplate,
  parseRpmTemplate,
  type RootTemplate,
  type RpmRepository,
  type RpmTemplate,
  rpmArchitectures,
} from './rpm-template.ts';
export {
  type PackageWish,
  parseTemplate,
  type Template,
  type TemplateConfig,
  type TemplateFile,
  type TemplateMirror,
  type TemplateUser,
  type Variant,
  wishText,
} from './template.ts';
export { joined, type ParsedYaml, parseYaml, type YamlKind } from './yaml-schema.ts';
