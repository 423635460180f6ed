export { debianArchitecture } from './debian-architecture.ts';
export {
  bareLock,
  encodeLock,
  imageConfigOf,
  LOCK_ATTR,
  type LockedPackage,
  type LockedSource,
  lockKey,
  lockOf,
  parseLock,
  partOfLock,
  type RpmLock,
  TEMPLATE_SCHEME,
  type TemplateLock,
  templateSource,
} from './lock.ts';
export { type OsRoots, osRoots } from './os-root.ts';
export type { OsDocument, OsPart, OsPartition, OsRepository, OsUser } from './os-schema.ts';
export {
  isOsTemplate,
  mergeOsTemplate,
  type OsLayer,
  type OsTemplate,
  type Placed,
  parseOsPart,
} from './os-template.ts';
export { type Provider, parseProvider, providerOf } from './provider.ts';
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
} from './template.ts';
export { joined, type ParsedYaml, parseYaml, type YamlKind } from './yaml-schema.ts';
