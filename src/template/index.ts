export {
  debianArchitecture,
  encodeLock,
  imageConfigOf,
  LOCK_ATTR,
  type LockedPackage,
  type LockedSource,
  lockKey,
  lockOf,
  parseLock,
  TEMPLATE_SCHEME,
  type TemplateLock,
  templateSource,
} from './lock.ts';
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
