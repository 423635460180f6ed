/**
 * The first word of a step that is no program: this process writes the disk that the second word describes (`DiskStep` as
 * JSON). The number is raised with every change of the bytes that are written.
 */
export const DISK_STEP = 'varve-disk.v1';

/** A file with partitions, or one with the content of a single one. */
export interface DiskStep {
  /** The file in the result. */
  readonly file: string;
  /** Absent: no table; the only part is the file. */
  readonly table?: {
    readonly kind: 'gpt' | 'dos';
    /** GUID of the disk, or eight hexadecimal digits. */
    readonly id: string;
    /** Bytes of the disk; absent: as many as the parts need. */
    readonly size?: number;
  };
  /** By their places on the disk; all but the last one have a size. */
  readonly parts: readonly DiskPart[];
  /** A file with the root hash, half of which names a partition each (UAPI discoverable partitions). */
  readonly rootHash?: DiskInput;
  /** A file whose time, in seconds, is the newest in what is written. */
  readonly newest: DiskInput;
}

/** A path below the target of a mount of the step. */
export interface DiskInput {
  readonly mount: string;
  readonly path: string;
}

/** One partition. */
export interface DiskPart {
  readonly name: string;
  readonly start: number;
  readonly size?: number;
  /** Its row in the table. */
  readonly entry?: {
    readonly index: number;
    /** GUID, or two hexadecimal digits. */
    readonly type: string;
    /** A half of the root hash where it is a number. Not of a table that has none. */
    readonly uuid: string | 0 | 1;
  };
  readonly content:
    | ({ readonly kind: 'image' } & DiskInput)
    | ({
        readonly kind: 'ext4';
        readonly uuid: string;
        readonly label: string;
        /** Directories whose content other partitions hold. */
        readonly emptied: readonly string[];
      } & DiskInput);
}
