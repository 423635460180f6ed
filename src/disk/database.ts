import type { Provider } from '../template/index.ts';

/** Name of the database of packages in the stage that holds nothing else. */
export const DATABASE_COPY = 'package-database';

/** Where rpm has its database, the first that is there counting alone: one directory may be a link to the other. */
export const RPM_DATABASES = [
  '/var/lib/rpm/rpmdb.sqlite',
  '/usr/lib/sysimage/rpm/rpmdb.sqlite',
] as const;

/** Where a root has its database of installed packages; its time is the one that everything made in the root has. */
export const databaseFile = (provider: Pick<Provider, 'format' | 'databasePath'>): string =>
  provider.format === 'rpm' ? `${provider.databasePath}/rpmdb.sqlite` : '/var/lib/dpkg/status';
