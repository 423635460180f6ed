export { changed } from './change.ts';
export { diffOps } from './diff-op.ts';
export { diffIgnoreRules, excludingRule } from './ignore-rule.ts';
export {
  decodeListing,
  diffListings,
  encodeListing,
  type Listing,
  leavesOf,
  listingOf,
} from './listing.ts';
