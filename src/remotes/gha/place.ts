import { isRecord, parseJson, type Secret } from '../../base/index.ts';

/** A service, and as whom it is asked. */
export interface GhaAccount {
  /** `ACTIONS_RESULTS_URL` of the workflow's run. */
  readonly url: string;
  /** `ACTIONS_RUNTIME_TOKEN` of the workflow's run. */
  readonly token: Secret;
  /** Longest time of one request with its repetitions. */
  readonly timeoutMs: number;
}

/** A cache in the cache service of GitHub Actions. */
export interface GhaPlace {
  readonly kind: 'gha';
  /** Absent outside of a workflow. */
  readonly account?: GhaAccount;
  /** Name that keeps caches of one repository apart. */
  readonly scope: string;
  /** The Git ref whose caches are meant; absent where the token gives no right to what is wanted. */
  readonly branch?: string;
  /** To list keys by the REST API instead of asking for one after another. */
  readonly listing?: {
    readonly api: string;
    readonly repository: string;
    readonly token: Secret;
  };
  /** Small blobs share entries, which BuildKit cannot read. */
  readonly pack: boolean;
}

/** A Git ref whose entries a token gives access to. */
export interface GhaRight {
  readonly branch: string;
  readonly write: boolean;
}

/** Bit of `Permission` in a token's `ac` claim. */
const WRITE = 2;

/**
 * The refs that a runtime token gives access to, in its order: the `ac` claim of the JWT is a JSON text with objects of
 * `Scope` and `Permission`. Empty for a token of another kind, which the service will judge.
 */
export function ghaRights(token: Secret): readonly GhaRight[] {
  const payload = token.reveal().split('.')[1] ?? '';
  const claims = parseJson(Buffer.from(payload, 'base64url').toString('utf8'));
  const ac = claims.ok && isRecord(claims.value) ? claims.value['ac'] : undefined;
  const scopes = typeof ac === 'string' ? parseJson(ac) : undefined;
  if (scopes?.ok !== true || !Array.isArray(scopes.value)) return [];
  return scopes.value.flatMap((row: unknown) => {
    if (!isRecord(row) || typeof row['Scope'] !== 'string') return [];
    const permission = typeof row['Permission'] === 'number' ? row['Permission'] : 0;
    return [{ branch: row['Scope'], write: (permission & WRITE) !== 0 }];
  });
}
