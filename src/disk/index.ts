export { BOOT_STAGE } from './boot.ts';
export {
  type Comparable,
  type Comparison,
  comparableDisk,
  compareAll,
  type Difference,
  flatFacts,
} from './compare.ts';
export { passwordSecret } from './configure.ts';
export { diskFile, formatStage } from './convert.ts';
export { DATABASE_COPY, databaseFile, RPM_DATABASES } from './database.ts';
export { type DiskReport, reportDisk } from './disk-report.ts';
export { isLive } from './fstab.ts';
export { dependencyDot, type InstalledPackage, installedPackages } from './installed.ts';
export { installedApks } from './installed-apk.ts';
export { npmPackage, pythonPackage } from './installed-library.ts';
export { installedRpms } from './installed-rpm.ts';
export { type DiskLayout, type DiskPartition, derivedUuid, layOut } from './layout.ts';
export { OS_RELEASE, osRelease } from './os-release.ts';
export { DOS_ENTRIES, gptOf, mbrOf } from './partition-table.ts';
export {
  type BootTest,
  CONTEXTS,
  commandLine,
  DISK_STAGE,
  type DiskCompression,
  type DiskFormat,
  type DiskKind,
  type DiskPlan,
  PACKAGES_STAGE,
  SIGNING_KEY,
  TREE_STAGE,
} from './plan.ts';
export { cycloneDxDocument, type InventorySubject, spdxDocument } from './sbom.ts';
export { diskStages } from './stages.ts';
