// Package scan owns the walk over a user-data space: it reads every item's
// metadata, hashes every file's contents and returns what it saw as a manifest.
// It also opens a single item for reading without ever following a symlink.
//
// A scan states facts only: what is there, what could not be read and why, and
// what the file system said about each file. Whether something was erased,
// corrupted or simply edited is for pkg/detect to decide. Two facts of life
// matter to whoever decides. A directory that changes while it is listed can
// hide an item for one scan, so an item's absence is worth a second look with
// ScanNames. And a quick scan trusts the cache, so only a deep one sees contents
// that changed while the metadata stayed as it was.
//
// A Scanner starts nothing and keeps nothing between scans; one may be used from
// several goroutines. The package is written for Linux. It belongs to the
// mechanism layer: pkg/detect and the layers above it import it, it imports only
// the value packages.
package scan
