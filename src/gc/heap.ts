/** A binary heap of places with a rank each; equal ranks are put in order by `before`. Nothing is allocated for an item. */
export class RankHeap {
  readonly #before: (a: number, b: number) => boolean;
  #places = new Int32Array(1024);
  #ranks = new Float64Array(1024);
  #length = 0;

  constructor(before: (a: number, b: number) => boolean) {
    this.#before = before;
  }

  push(place: number, rank: number): void {
    if (this.#length === this.#places.length) this.#grow();
    let at = this.#length++;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!this.#isLess(rank, place, up)) break;
      this.#move(up, at);
      at = up;
    }
    this.#set(at, place, rank);
  }

  /** Takes the lowest; undefined when there is none. */
  pop(): { readonly place: number; readonly rank: number } | undefined {
    if (this.#length === 0) return undefined;
    const first = { place: this.#places[0] ?? 0, rank: this.#ranks[0] ?? 0 };
    this.#length--;
    const [place, rank] = [this.#places[this.#length] ?? 0, this.#ranks[this.#length] ?? 0];
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#length) break;
      const right = child + 1;
      if (right < this.#length) {
        const less = this.#isLess(this.#ranks[right] ?? 0, this.#places[right] ?? 0, child);
        if (less) child = right;
      }
      if (this.#isLess(rank, place, child)) break;
      this.#move(child, at);
      at = child;
    }
    if (this.#length > 0) this.#set(at, place, rank);
    return first;
  }

  #isLess(rank: number, place: number, than: number): boolean {
    const other = this.#ranks[than] ?? 0;
    return rank < other || (rank === other && this.#before(place, this.#places[than] ?? 0));
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#places[from] ?? 0, this.#ranks[from] ?? 0);
  }

  #set(at: number, place: number, rank: number): void {
    this.#places[at] = place;
    this.#ranks[at] = rank;
  }

  #grow(): void {
    const [places, ranks] = [this.#places, this.#ranks];
    this.#places = new Int32Array(places.length * 2);
    this.#ranks = new Float64Array(places.length * 2);
    this.#places.set(places);
    this.#ranks.set(ranks);
  }
}
