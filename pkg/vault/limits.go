package vault

// Limits on what is written and on what is accepted. They bound the memory
// that a hostile reader or card can make a device spend, and the reverse.
const (
	// MaxPack is the most bytes a pack holds before compression.
	MaxPack = 2 << 20
	// MaxIndex is the most bytes of one encoded index before compression.
	MaxIndex = 4 << 20
	// MaxHeader is the most bytes of an encoded header.
	MaxHeader = 256 << 10
	// MaxBlob is the most bytes of one sealed blob: a pack that does not
	// compress at all, with the overhead of zstd and of both layers of seal.
	MaxBlob = MaxPack + 4<<10
	// MaxItems is the most items of a data set.
	MaxItems = 1 << 20
	// MaxExtents is the most extents of one file, which bounds files at about
	// 16 GiB.
	MaxExtents = 1 << 15
	// MaxChain is the most index blobs of one part.
	MaxChain = 4096
	// MaxTarget is the most bytes of a symlink's target (PATH_MAX less its NUL).
	MaxTarget = 4095
	// MaxXattrs is the most extended attributes of one item.
	MaxXattrs = 256
	// MaxXattrBytes is the most bytes of an item's attribute names and values
	// together; Linux allows 64 KiB for one value.
	MaxXattrBytes = 256 << 10
	// MaxLocal is the most bytes of a device's own copy of a data set.
	MaxLocal = 512 << 20
)

const (
	packTarget    = 1 << 20 // a pack is handed on when it has reached this
	maxTarget     = MaxPack - 256<<10
	smallFile     = 512 << 10 // files below are packed whole
	largeFile     = 256 << 20 // files from here on are cut into larger chunks
	segmentBytes  = 1 << 20   // an index is split when its raw size reaches this
	segmentItems  = 8192      // or when it has that many entries
	maxDeltas     = 16        // a chain with that many deltas gets a new full index
	maxElements   = 1 << 16   // of one CBOR array
	maxKind       = 256       // bytes of what an item says its contents are
	maxMapPairs   = 256       // of one CBOR map
	maxCBORNested = 6
)
