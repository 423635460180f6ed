/*
 * Schema of the state database. Every table that names something on disk (layers, blobs, mounts, packages) carries sizes
 * and times of use, and leases name the same resources, so that trimming is one query: all that no lease, image, result or
 * pin holds, least recently used first.
 */

/** Statements that lead from version i to i + 1; the current version is their number. Only appended to. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE migration (version INTEGER PRIMARY KEY, at REAL NOT NULL) STRICT;

  -- The key graph. A record with root = 1 has no inputs and is unique by digest.
  CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    root INTEGER NOT NULL,
    created_at REAL NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX record_root ON record (digest) WHERE root = 1;
  CREATE TABLE link (
    parent INTEGER NOT NULL REFERENCES record ON DELETE CASCADE,
    digest TEXT NOT NULL,
    input INTEGER NOT NULL,
    selector TEXT NOT NULL,
    child INTEGER NOT NULL REFERENCES record ON DELETE CASCADE,
    PRIMARY KEY (parent, digest, input, selector, child)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX link_child ON link (child);

  -- Layers, and chains of them as a tree: a chain is its top node.
  CREATE TABLE layer (
    id TEXT PRIMARY KEY,
    diff_id TEXT,
    size INTEGER,
    ref_blob TEXT,
    origin TEXT,
    created_at REAL NOT NULL,
    used_at REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX layer_diff ON layer (diff_id) WHERE diff_id IS NOT NULL;
  CREATE TABLE layer_blob (
    layer TEXT NOT NULL REFERENCES layer ON DELETE CASCADE,
    digest TEXT NOT NULL,
    descriptor TEXT NOT NULL,
    PRIMARY KEY (layer, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX layer_blob_digest ON layer_blob (digest);
  CREATE TABLE chain (
    id INTEGER PRIMARY KEY,
    parent INTEGER NOT NULL,
    layer TEXT NOT NULL REFERENCES layer ON DELETE CASCADE,
    depth INTEGER NOT NULL,
    UNIQUE (parent, layer)
  ) STRICT;
  CREATE INDEX chain_layer ON chain (layer);

  -- chain 0 is scratch.
  CREATE TABLE result (
    record INTEGER NOT NULL REFERENCES record ON DELETE CASCADE,
    chain INTEGER NOT NULL,
    created_at REAL NOT NULL,
    cost_ms REAL NOT NULL,
    used_at REAL NOT NULL,
    uses INTEGER NOT NULL,
    PRIMARY KEY (record, chain)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX result_chain ON result (chain);

  CREATE TABLE trace (
    id INTEGER PRIMARY KEY,
    step TEXT NOT NULL,
    key TEXT NOT NULL,
    op TEXT NOT NULL,
    describes TEXT,
    pb BLOB NOT NULL,
    inputs TEXT NOT NULL,
    at REAL NOT NULL,
    cost_ms REAL NOT NULL
  ) STRICT;
  CREATE INDEX trace_step ON trace (step, id);

  CREATE TABLE image (
    name TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    target TEXT NOT NULL,
    created_at REAL NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE lease (
    id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE lease_resource (
    resource TEXT NOT NULL,
    lease TEXT NOT NULL REFERENCES lease ON DELETE CASCADE,
    PRIMARY KEY (resource, lease)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX lease_resource_lease ON lease_resource (lease);

  CREATE TABLE build (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    request TEXT NOT NULL,
    started_at REAL NOT NULL,
    finished_at REAL,
    error TEXT,
    failure TEXT,
    image TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX build_started ON build (started_at);
  CREATE TABLE step (
    build TEXT NOT NULL REFERENCES build ON DELETE CASCADE,
    vertex TEXT NOT NULL,
    position INTEGER NOT NULL,
    row TEXT NOT NULL,
    PRIMARY KEY (build, vertex)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE memo (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (namespace, key)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- What is kept whatever the policy says, and what was removed by it (so that a later miss can be explained).
  CREATE TABLE pin (
    resource TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE eviction (
    record INTEGER PRIMARY KEY REFERENCES record ON DELETE CASCADE,
    resource TEXT NOT NULL,
    rule TEXT NOT NULL,
    at REAL NOT NULL
  ) STRICT;
  CREATE INDEX eviction_at ON eviction (at);
  CREATE TABLE disk_use (
    resource TEXT PRIMARY KEY,
    stamp TEXT NOT NULL,
    bytes INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- The cache that a result was imported from; NULL for what this store made itself.
  ALTER TABLE result ADD COLUMN source TEXT;
  `,
  `
  -- What stood below a step, and the files its inputs held: what tells which of them changed.
  ALTER TABLE trace ADD COLUMN below TEXT;
  CREATE INDEX trace_below ON trace (below, id) WHERE below IS NOT NULL;
  CREATE TABLE listing (
    content TEXT PRIMARY KEY,
    packed BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE trace_listing (
    content TEXT NOT NULL REFERENCES listing,
    trace INTEGER NOT NULL REFERENCES trace ON DELETE CASCADE,
    PRIMARY KEY (content, trace)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX trace_listing_trace ON trace_listing (trace);
  `,
  `
  -- Executions of one project are compared among themselves, and found by the record they made.
  ALTER TABLE trace ADD COLUMN project TEXT NOT NULL DEFAULT '';
  ALTER TABLE trace ADD COLUMN record INTEGER;
  `,
  `
  -- Executions travel with the records that they made; those of other stores are told from this one's.
  ALTER TABLE trace ADD COLUMN imported INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX trace_record ON trace (record, id) WHERE record IS NOT NULL;
  `,
  `
  -- Whether anything is known of an op, whatever it stands on.
  CREATE INDEX record_inner ON record (digest) WHERE root = 0;
  `,
];
