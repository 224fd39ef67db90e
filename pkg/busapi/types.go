package busapi

import "context"

// The values below are what methods and properties carry. On the bus each is a
// dictionary a{sv} whose keys are the names in the json tags; scrctl --json
// prints the same names.

// PeerInfo is a paired reader or device.
type PeerInfo struct {
	ID      string `json:"id"`      // 32 hexadecimal digits, from its public key
	Name    string `json:"name"`    // as it calls itself
	Address string `json:"address"` // 48-bit device address; empty on a link without
	Paired  int64  `json:"paired"`  // seconds since the epoch
	InRange bool   `json:"in_range"`
	// Usage is what the reader keeps of a device; absent at the device.
	Usage *UsageInfo `json:"usage,omitempty"`
}

// UsageInfo is a device's part of the reader's store.
type UsageInfo struct {
	Used  int64 `json:"used"`  // bytes, sealed
	Quota int64 `json:"quota"` // bytes that it may have
	Blobs int64 `json:"blobs"`
}

// BlobDamage is a stored blob whose bytes are not what they were any more, or that is lost.
type BlobDamage struct {
	Device    string `json:"device"` // whose it is: its id
	Vault     string `json:"vault"`
	Blob      string `json:"blob"`
	Snapshots int64  `json:"snapshots"` // that need it
	Newest    bool   `json:"newest"`    // the newest one does: the device sends it again
}

// CardInfo is the state of the smart card in the reader.
type CardInfo struct {
	State      string   `json:"state"` // none, ok, stale, other-vault, full, unformatted, blank, error
	Profile    string   `json:"profile"`
	Identity   string   `json:"identity"`
	Capacity   int64    `json:"capacity"` // bytes that one version of the data may have
	Used       int64    `json:"used"`
	Needed     int64    `json:"needed"`    // bytes that the service books and keys of the newest snapshot take; 0 if that is not known
	LeftOut    int64    `json:"left_out"`  // bytes of those that the card lacks, as they do not fit
	Elsewhere  int64    `json:"elsewhere"` // bytes of the other classes, which are in the reader's store alone
	Generation uint64   `json:"generation"`
	Detail     string   `json:"detail"`    // why, where the state is no good one
	PIN        string   `json:"pin"`       // none, set, blocked, unknown; empty for a card that can have none
	PINTries   int64    `json:"pin_tries"` // left, when the card was last looked at; -1 where it does not tell
	CardKey    bool     `json:"card_key"`  // it can sign, so that a copy of its contents is not the card
	Classes    []string `json:"classes"`   // of the newest snapshot that are on the card: service-books and keys, or service-books alone
	Repaired   int64    `json:"repaired"`  // when the reader wrote it anew because nothing on it was whole, seconds since the epoch; 0 never
	Reader     string   `json:"reader"`    // the card reader that it is in
	Device     string   `json:"device"`    // the name of the device whose data it holds; empty for none, or none that is paired

	Others []OtherCard `json:"others"` // the cards in other readers
}

// OtherCard is the state of a card beside the one in use.
type OtherCard struct {
	Reader     string `json:"reader"` // the card reader that it is in
	State      string `json:"state"`  // as CardInfo's, as are the fields below
	Profile    string `json:"profile"`
	Identity   string `json:"identity"`
	Device     string `json:"device"`
	Capacity   int64  `json:"capacity"`
	Used       int64  `json:"used"`
	Generation uint64 `json:"generation"`
	Detail     string `json:"detail"`
}

// CardChoice says which card to prepare, and how.
type CardChoice struct {
	Force    bool   `json:"force"`    // even where it holds data already, which is then lost
	Reader   string `json:"reader"`   // the card reader; needed where several have a card
	Identity string `json:"identity"` // the card that the owner was asked about, as CardInfo's; with Expect
	Expect   bool   `json:"expect"`   // refuse any other card than Identity says; an empty one is a card that nothing is known of, and that holds no data
}

// PINInfo is what a card tells of its PIN now.
type PINInfo struct {
	PIN   string `json:"pin"`       // none, set, blocked, unknown
	Tries int64  `json:"pin_tries"` // left; -1 where the card does not tell
}

// PINCodes are the codes that a change of the card's PIN takes.
type PINCodes struct {
	PIN string `json:"pin"`     // the present one, for CardPinChange and CardPinClear
	New string `json:"new_pin"` // for CardPinSet and CardPinChange
	PUK string `json:"puk"`     // the unblocking code, for CardPinSet on a card that has a PIN
}

// DeviceStatus is what the device knows of itself.
type DeviceStatus struct {
	Name           string           `json:"name"`
	Paired         bool             `json:"paired"`
	Reader         *PeerInfo        `json:"reader,omitempty"`
	InRange        bool             `json:"in_range"`
	LinkError      string           `json:"link_error"`      // why there is no session, if so
	Activity       string           `json:"activity"`        // idle, pairing, backup, check, reprovision
	LastBackup     int64            `json:"last_backup"`     // seconds since the epoch; 0 never
	LastBackupAge  int64            `json:"last_backup_age"` // seconds; -1 never
	LastSnapshot   string           `json:"last_snapshot"`
	WouldLoseItems int64            `json:"would_lose_items"` // not saved yet
	WouldLoseBytes int64            `json:"would_lose_bytes"`
	Damaged        int64            `json:"damaged"`
	Counts         map[string]int64 `json:"counts"`             // items by verdict
	Waiting        string           `json:"waiting"`            // what the daemon waits for the owner to say; empty for nothing
	Watch          string           `json:"watch"`              // fanotify, inotify or off
	Interrupted    bool             `json:"interrupted"`        // a restore was cut short and goes on when it can
	Passcode       bool             `json:"passcode"`           // a reprovisioning passcode is set
	CardPIN        bool             `json:"card_pin"`           // or it is the PIN of the card
	RecoveryCode   bool             `json:"recovery_code"`      // there is a recovery code
	KeysPending    int64            `json:"keys_pending"`       // since when the reader is to change its keys, in seconds since the epoch; 0: it has
	Card           *CardInfo        `json:"card,omitempty"`     // as the reader last told
	ReaderDamage   int64            `json:"reader_damage"`      // blobs of the newest snapshot that are damaged at the reader
	Verified       *VerifyResult    `json:"verified,omitempty"` // the last restore drill; absent before the first
	AutoBackup     *AutoBackupInfo  `json:"autobackup,omitempty"`
	// Authorization is what the card keeps on.
	Authorization *AuthorizationInfo `json:"authorization,omitempty"`
	Questions     []QuestionInfo     `json:"questions"` // to the owner that are open
}

// VerifyResult is the outcome of a restore drill: a sample of what lies at the reader was
// fetched, opened, and compared with what was saved.
type VerifyResult struct {
	Time     int64    `json:"time"` // seconds since the epoch
	Snapshot string   `json:"snapshot"`
	Blobs    int64    `json:"blobs"`  // that were fetched and are whole
	Of       int64    `json:"of"`     // that the snapshot has
	Items    int64    `json:"items"`  // of which something was in them; each matches
	Bytes    int64    `json:"bytes"`  // that were fetched
	Failed   []string `json:"failed"` // blobs that are not what they should be, with the reason
}

// ItemChange is how one item differs between two snapshots.
type ItemChange struct {
	Path   string `json:"path"`
	Class  string `json:"class"`
	Type   string `json:"type"`   // file, directory, symlink
	Change string `json:"change"` // added, changed, removed
	Size   int64  `json:"size"`   // in the second; 0 when removed
	Was    int64  `json:"was"`    // in the first; 0 when added
}

// PasscodeResult says what opens the data at the reader from now on.
type PasscodeResult struct {
	Passcode     bool     `json:"passcode"`      // a reprovisioning passcode is set
	CardPIN      bool     `json:"card_pin"`      // or it is the PIN of the card
	RecoveryCode bool     `json:"recovery_code"` // there is a recovery code
	Card         CardInfo `json:"card"`          // anything but ok: what opened the data before may open what is on the card still
}

// RecoveryCode is a new recovery code. It is told this once.
type RecoveryCode struct {
	Code     string   `json:"code"`     // 28 digits and letters in groups of four
	Passcode bool     `json:"passcode"` // a reprovisioning passcode is set, of either kind
	Pending  bool     `json:"pending"`  // the reader has not confirmed it: until it does, keep the code from before too
	Card     CardInfo `json:"card"`
}

// BackupResult is what one backup did (step 524).
type BackupResult struct {
	Snapshot      string   `json:"snapshot"` // empty when nothing had changed and there is none yet
	Mode          string   `json:"mode"`     // full or incremental
	Changed       bool     `json:"changed"`  // false: the last snapshot is still true (step 520)
	Items         int64    `json:"items"`    // that the snapshot holds
	ItemsSent     int64    `json:"items_sent"`
	BytesSent     int64    `json:"bytes_sent"`
	BytesReceived int64    `json:"bytes_received"`
	Healed        int64    `json:"healed"`    // damaged blobs at the reader that were made good
	Held          []string `json:"held"`      // damaged items whose last good state was kept
	Skipped       []string `json:"skipped"`   // items that could not be read, with the reason
	Truncated     int64    `json:"truncated"` // entries left out of the lists; see MaxAnswer
	Card          CardInfo `json:"card"`
}

// SnapshotInfo is one snapshot at the reader.
type SnapshotInfo struct {
	ID      string `json:"id"`
	Parent  string `json:"parent"`
	Seq     uint64 `json:"seq"`
	Created int64  `json:"created"` // seconds since the epoch, by the device's clock
	Mode    string `json:"mode"`
	Items   int64  `json:"items"`
	Bytes   int64  `json:"bytes"`  // of the contents
	Stored  int64  `json:"stored"` // at the reader, sealed
}

// ItemInfo is one item of a snapshot.
type ItemInfo struct {
	Path    string `json:"path"` // on this device
	Class   string `json:"class"`
	Type    string `json:"type"` // file, directory, symlink
	Mode    string `json:"mode"` // octal, "0600"
	Size    int64  `json:"size"`
	ModTime int64  `json:"mtime"` // nanoseconds since the epoch
	SHA256  string `json:"sha256"`
}

// Finding is a verdict on one item.
type Finding struct {
	Path    string `json:"path"`
	Class   string `json:"class"`
	Verdict string `json:"verdict"` // changed, erased, corrupted, unavailable
	Reason  string `json:"reason"`
}

// CheckResult is the outcome of a check; Items leaves the intact ones out.
type CheckResult struct {
	Items     []Finding        `json:"items"`
	Counts    map[string]int64 `json:"counts"`    // all five verdicts
	Truncated int64            `json:"truncated"` // entries left out of Items; see MaxAnswer
}

// ReprovisionRequest says what to bring back (step 610).
type ReprovisionRequest struct {
	Classes  []string `json:"classes"`  // none: all
	Paths    []string `json:"paths"`    // none: all
	Snapshot string   `json:"snapshot"` // empty: the newest
	From     string   `json:"from"`     // take over the data of this earlier device, by name or vault; empty: own
	DryRun   bool     `json:"dry_run"`
	Yes      bool     `json:"yes"` // the owner has confirmed already (step 622)
}

// PasscodeRequest says what the reprovisioning passcode is to be.
type PasscodeRequest struct {
	CardPIN bool `json:"card_pin"` // the PIN of the card; else the owner says it
	Change  bool `json:"change"`   // there is one, which it replaces; not with CardPIN
}

// ReprovisionResult is what a reprovision did (step 624).
type ReprovisionResult struct {
	Snapshot      string    `json:"snapshot"`
	DryRun        bool      `json:"dry_run"`
	Planned       int64     `json:"planned"`  // items to restore
	Restored      int64     `json:"restored"` // written
	Verified      int64     `json:"verified"` // read back and found identical
	Quarantined   int64     `json:"quarantined"`
	Failed        []Finding `json:"failed"`    // reason says why
	Kept          []Finding `json:"kept"`      // changed since the snapshot and left as they are
	Items         []Finding `json:"items"`     // what was, or with dry_run would be, restored
	Hooks         []string  `json:"hooks"`     // that failed, with the reason
	Truncated     int64     `json:"truncated"` // entries left out of the lists; see MaxAnswer
	Quarantine    string    `json:"quarantine"`
	BytesReceived int64     `json:"bytes_received"`
	Seconds       float64   `json:"seconds"`
}

// OverdueInfo is a device whose backup is overdue, as the reader knows it.
type OverdueInfo struct {
	ID    string `json:"id"`    // of the device
	Name  string `json:"name"`  // of the device
	Every int64  `json:"every"` // seconds between two backups, as the device last said
	Late  int64  `json:"late"`  // seconds since the backup was due
}

// ReaderStatus is what the reader knows of itself.
type ReaderStatus struct {
	Name         string     `json:"name"`
	Address      string     `json:"address"`    // empty while there is no Bluetooth adapter
	LinkError    string     `json:"link_error"` // why no device can reach the reader, if so
	PairingOpen  bool       `json:"pairing_open"`
	PairingUntil int64      `json:"pairing_until"` // seconds since the epoch
	Devices      []PeerInfo `json:"devices"`
	Vaults       int64      `json:"vaults"`
	Stored       int64      `json:"stored"` // bytes of all devices' data, sealed
	Card         CardInfo   `json:"card"`
	LastScrub    int64      `json:"last_scrub"` // when every stored byte was last verified; seconds since the epoch, 0 never
	Scrubbing    bool       `json:"scrubbing"`
	DamagedBlobs int64      `json:"damaged_blobs"`
	// Damage names them, the first 64.
	Damage []BlobDamage `json:"damage"`
	// Overdue are the devices that have not backed up for too long.
	Overdue []OverdueInfo `json:"overdue"`
}

// DisplayInfo is what the reader's display shows (steps 412 and 418).
type DisplayInfo struct {
	State    string   `json:"state"` // idle, address, passcode, paired, failed, alert, progress
	Address  string   `json:"address"`
	Passcode string   `json:"passcode"` // digits only; empty unless shown
	Lines    []string `json:"lines"`
}

// CardReport is the outcome of reading the whole card back.
type CardReport struct {
	Card  CardInfo `json:"card"`
	Whole bool     `json:"whole"` // the version that was written last reads back with its digest
	Blobs int64    `json:"blobs"` // of the newest version that does
	Bytes int64    `json:"bytes"`
	Lost  uint64   `json:"lost"` // generation of a newer one that was on the card and is damaged; 0 for none

	Versions []CardVersion `json:"versions"` // the two that a card holds
}

// CardVersion is one of the versions on a card.
type CardVersion struct {
	State      string `json:"state"`      // "whole", "damaged" or "blank"
	Generation uint64 `json:"generation"` // 0 where that cannot be told
	Bytes      int64  `json:"bytes"`
	Newest     bool   `json:"newest"` // of those that are whole
}

// Prompter asks the owner, through the D-Bus agent of whoever called or the
// default agent. ErrNoAgent when there is none, ErrDeclined when the owner
// cancels.
type Prompter interface {
	// PairingPasscode asks for the passcode that the reader shows (step 420).
	PairingPasscode(ctx context.Context, reader string, retry bool) (string, error)
	// CardPIN asks for the PIN of the card in the reader (step 618); left is how
	// many tries there are, -1 where that is not known.
	CardPIN(ctx context.Context, reader string, left int64, retry bool) (string, error)
	// NewPasscode asks for the passcode that is to be set; change: in place of one.
	NewPasscode(ctx context.Context, change bool) (string, error)
	// Passcode asks for the reprovisioning passcode of the data of an earlier device,
	// or for its recovery code (step 618); left is how many tries there are, -1 where
	// that is not known.
	Passcode(ctx context.Context, device string, left int64, retry bool) (string, error)
	// ConfirmReprovision asks whether to go on (step 622).
	ConfirmReprovision(ctx context.Context, summary ReprovisionResult) (bool, error)
	// AutoBackup asks whether and when the device is to back up by itself (step 514).
	AutoBackup(ctx context.Context, q AutoBackupQuestion) (AutoBackupSettings, error)
	// Pairing asks for a pairing, for a backup that is due (step 522, paragraph 35),
	// and gives the address that the reader's display shows then (step 414).
	Pairing(ctx context.Context, q PairingQuestion) (address string, err error)
}

// DeviceBackend is what reprovisiond does behind its D-Bus object.
type DeviceBackend interface {
	Status(ctx context.Context) (DeviceStatus, error)
	Pair(ctx context.Context, address string, p Prompter) (PeerInfo, error)
	// Unpair forgets the reader; told is false when it was out of range.
	Unpair(ctx context.Context) (told bool, err error)
	Backup(ctx context.Context, full bool) (BackupResult, error)
	Snapshots(ctx context.Context) ([]SnapshotInfo, error)
	SnapshotItems(ctx context.Context, id string) ([]ItemInfo, error)
	SnapshotDiff(ctx context.Context, from, to string) ([]ItemChange, error)
	// Verify is a restore drill over about that many bytes; 0 for as many as the
	// settings say.
	Verify(ctx context.Context, bytes int64) (VerifyResult, error)
	Check(ctx context.Context, deep bool) (CheckResult, error)
	Reprovision(ctx context.Context, req ReprovisionRequest, p Prompter) (ReprovisionResult, error)
	Forget(ctx context.Context, paths []string) (int64, error)
	// AutoBackup tells how the automatic backup stands; ConfigureAutoBackup and
	// DisableAutoBackup are the owner's answer to step 514.
	AutoBackup(ctx context.Context) (AutoBackupInfo, error)
	ConfigureAutoBackup(ctx context.Context, s AutoBackupSettings) (AutoBackupInfo, error)
	DisableAutoBackup(ctx context.Context) (AutoBackupInfo, error)
	// Authorization tells what the card keeps on; OverrideAuthorization has it on without
	// the card for a time, and ResumeAuthorization takes that back.
	Authorization(ctx context.Context) (AuthorizationInfo, error)
	OverrideAuthorization(ctx context.Context, o AuthorizationOverride) (AuthorizationInfo, error)
	ResumeAuthorization(ctx context.Context) (AuthorizationInfo, error)
	// SetPasscode sets the reprovisioning passcode (step 616), or another one.
	SetPasscode(ctx context.Context, req PasscodeRequest, p Prompter) (PasscodeResult, error)
	// ClearPasscode lets every device open the data that the reader is paired with.
	ClearPasscode(ctx context.Context) (PasscodeResult, error)
	NewRecoveryCode(ctx context.Context) (RecoveryCode, error)
}

// ReaderBackend is what scrd does behind its D-Bus object.
type ReaderBackend interface {
	Status(ctx context.Context) (ReaderStatus, error)
	Press(ctx context.Context) (DisplayInfo, error)
	Display(ctx context.Context) (DisplayInfo, error)
	Devices(ctx context.Context) ([]PeerInfo, error)
	Forget(ctx context.Context, device string) error
	CardStatus(ctx context.Context) (CardInfo, error)
	CardInit(ctx context.Context, choice CardChoice) (CardInfo, error)
	CardVerify(ctx context.Context) (CardReport, error)
	// CardPIN asks the card how its PIN stands, which costs no try.
	CardPIN(ctx context.Context) (PINInfo, error)
	// CardSetPIN gives a PIN to a card without, or, with the PUK, a new one to a
	// card whose PIN is blocked or forgotten.
	CardSetPIN(ctx context.Context, codes PINCodes) (PINInfo, error)
	CardChangePIN(ctx context.Context, codes PINCodes) (PINInfo, error)
	// CardClearPIN makes the card not ask for its PIN any more.
	CardClearPIN(ctx context.Context, codes PINCodes) (PINInfo, error)
}

// Event is one line of scrctl monitor: a signal Event(a{sv}), whose dictionary
// holds time, side, event and the fields side by side. It goes to subscribers
// only, who may see names of items; it never holds a passcode.
type Event struct {
	Time   string         // RFC 3339 with nanoseconds
	Side   string         // device or reader
	Event  string         // link, pairing, verdict, backup, reprovision, card
	Fields map[string]any // strings, int64, bool, []string
}

// Progress is how far a long operation is; one monotone figure. The zero one says that
// there is no such operation.
type Progress struct {
	Operation string `json:"operation"` // backup, check, reprovision
	Done      int64  `json:"done"`      // bytes
	Total     int64  `json:"total"`     // bytes; 0 not known yet
	Rate      int64  `json:"rate"`      // bytes a second, as measured lately; 0 not known yet
	TimeLeft  int64  `json:"time_left"` // seconds, at that rate; -1 not known
}
