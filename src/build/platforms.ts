import type { OpPlatform } from '../llb/index.ts';
import type { Platform } from '../oci/index.ts';

/** A platform of OCI documents in the form of ops. */
export function opPlatform(p: Platform): OpPlatform {
  return {
    Architecture: p.architecture,
    OS: p.os,
    ...(p.variant === undefined ? {} : { Variant: p.variant }),
    ...(p['os.version'] === undefined ? {} : { OSVersion: p['os.version'] }),
    ...(p['os.features'] === undefined ? {} : { OSFeatures: p['os.features'] }),
  };
}
