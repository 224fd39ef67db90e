package main

import (
	"bytes"
	"math/rand/v2"
)

// cutMiddle cuts a file in the middle of a line.
func cutMiddle(b []byte, _ *rand.Rand) []byte {
	at := len(b) / 2
	if b[at-1] == '\n' || b[at] == '\n' || b[at] == '\r' {
		at += 4
	}
	return b[:at]
}

// junk puts bytes that no editor writes into the middle of a file.
func junk(b []byte, rnd *rand.Rand) []byte {
	copy(b[len(b)/2:], garbage(rnd, min(200, len(b)/4)))
	b[len(b)/2] = 0xfe // no UTF-8, whatever the rest is
	return b
}

// without takes some bytes out, at the first place where the words stand.
func without(words string, skip, n int) func([]byte, *rand.Rand) []byte {
	return func(b []byte, _ *rand.Rand) []byte {
		at := bytes.Index(b, []byte(words)) + skip
		return append(b[:at:at], b[at+n:]...)
	}
}

// before cuts a file at the last place where the words stand.
func before(words string) func([]byte, *rand.Rand) []byte {
	return func(b []byte, _ *rand.Rand) []byte { return b[:bytes.LastIndex(b, []byte(words))] }
}

// formatKinds: the contents were valid and are not any more, in a way in which no
// program and no person writes them. The times move.
func formatKinds() []kind {
	return []kind{
		written("JSON cut", "json", cutMiddle),
		written("YAML with binary junk", "yaml", junk),
		written("TOML with binary junk", "toml", junk),
		written("INI with binary junk", "ini", junk),
		written("XML cut", "xml", cutMiddle),
		written("XML with binary junk", "xml", junk),
		written("property list (XML) cut", "plist", cutMiddle),
		written("property list (binary) cut", "bplist", cutMiddle),
		written("desktop entry with binary junk", "desktop", junk),
		written("SQLite: page zeroed", "sqlite", func(b []byte, _ *rand.Rand) []byte { clear(b[block : 2*block]); return b }),
		written("SQLite: cut", "sqlite", func(b []byte, _ *rand.Rand) []byte { return b[:len(b)/2/block*block] }),
		written("SQLite: header damaged", "sqlite", func(b []byte, r *rand.Rand) []byte { copy(b, garbage(r, 64)); return b }),
		written("SQLite: page of garbage", "sqlite", func(b []byte, r *rand.Rand) []byte {
			copy(b[2*block:3*block], garbage(r, block))
			return b
		}),
		written("SQLite: page zeroed, first seen in a transaction", "transaction", func(b []byte, _ *rand.Rand) []byte {
			clear(b[block : 2*block])
			return b
		}),
		written("PNG: chunk damaged", "png", func(b []byte, _ *rand.Rand) []byte { b[len(b)/2] ^= 0x20; return b }),
		written("PNG: cut", "png", cutMiddle),
		written("PNG: half written anew", "png", func(_ []byte, r *rand.Rand) []byte { return cutMiddle(pngFile(r, 0), r) }),
		written("JPEG: cut", "jpeg", cutMiddle),
		written("JPEG: header damaged", "jpeg", func(b []byte, r *rand.Rand) []byte { copy(b, garbage(r, 40)); b[0] = 0; return b }),
		written("zip: directory lost", "zip", before("PK\x01\x02")),
		written("zip: a member damaged", "zip", func(b []byte, _ *rand.Rand) []byte { b[len(b)/3] ^= 4; return b }),
		written("gzip: check sum wrong", "gzip", func(b []byte, _ *rand.Rand) []byte { b[len(b)-7] ^= 1; return b }),
		written("gzip: cut", "gzip", cutMiddle),
		written("PDF: cut", "pdf", cutMiddle),
		written("OpenSSH key: a character lost", "ssh", without("\n", 100, 1)),
		written("OpenSSH key: cut", "ssh", cutMiddle),
		written("PEM key: END line lost", "pem", before("-----END")),
		written("PEM key: NULs in it", "pem", func(b []byte, _ *rand.Rand) []byte { clear(b[60:100]); return b }),
		written("X.509: a line lost", "x509", without("CERTIFICATE-----\n", 17+65, 65)),
		written("X.509: cut", "x509", cutMiddle),
		written("PKCS#12: cut", "pkcs12", cutMiddle),
		written("PKCS#12: header damaged", "pkcs12", func(b []byte, r *rand.Rand) []byte { copy(b, garbage(r, 24)); return b }),
		written("NetworkManager profile: cut", "nm", func(b []byte, _ *rand.Rand) []byte { return b[:bytes.Index(b, []byte("psk="))+2] }),
		written("NetworkManager profile: NULs in it", "nm", func(b []byte, _ *rand.Rand) []byte { clear(b[len(b)/2:]); return b }),
		written("WireGuard: cut", "wireguard", func(b []byte, _ *rand.Rand) []byte {
			return b[:bytes.Index(b, []byte("[Peer]\nPublicKey"))+12]
		}),
		written("WireGuard: binary junk", "wireguard", junk),
		written("vCard: cut", "vcard", cutMiddle),
		written("iCalendar: cut", "ical", cutMiddle),
	}
}
