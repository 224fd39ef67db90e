package validate

import (
	"context"
	"encoding/asn1"
)

// The tags of X.690 that PKCS #12 is made of.
const (
	berInteger  = 2
	berOctets   = 4
	berOID      = 6
	berSequence = 16
	berContext  = 2 // a class
)

func recognisePKCS12(name string, head []byte) bool {
	return hasSuffix(name, ".p12", ".pfx") && len(head) > 2 && head[0] == 0x30 && head[1] >= 0x80
}

// checkPKCS12 looks at a store of keys and certificates (RFC 7292) as far as one can
// without its password. The library for it would want that.
func checkPKCS12(ctx context.Context, f File) error {
	b, err := f.whole(storeMax)
	if err != nil {
		return err
	}
	fault := berFault(b)
	if fault == "" {
		fault = pfxFault(b)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if fault != "" {
		return broken("pkcs12", "it %s", fault)
	}
	return nil
}

func pfxFault(b []byte) string {
	outer, _, _ := berNext(b)
	parts, ok := outer.children(0, berSequence)
	if !ok || len(parts) < 2 || len(parts) > 3 {
		return "is not made of version, contents and MAC"
	}
	if v := parts[0]; v.tag != berInteger || len(v.contents) != 1 || v.contents[0] != 3 {
		return "is not of version 3"
	}
	kind, contents, ok := contentInfo(parts[1])
	if !ok {
		return "has contents that are broken"
	}
	if len(parts) == 3 {
		if fault := pfxMACFault(parts[2]); fault != "" {
			return fault
		}
	}
	switch kind {
	case "1.2.840.113549.1.7.1":
		return authSafeFault(contents, len(parts) == 3)
	case "1.2.840.113549.1.7.2":
		return "" // signed instead of with a MAC; the structure was looked at
	}
	return "has contents of a kind that is not known"
}

// contentInfo gives the kind of a ContentInfo of RFC 5652, and what lies in its [0].
func contentInfo(e berElement) (kind string, contents berElement, ok bool) {
	parts, ok := e.children(0, berSequence)
	if !ok || len(parts) != 2 {
		return "", contents, false
	}
	inner, ok := parts[1].children(berContext, 0)
	if !ok || len(inner) != 1 {
		return "", contents, false
	}
	kind, ok = parts[0].oid()
	return kind, inner[0], ok
}

func (e berElement) oid() (string, bool) {
	if e.class != 0 || e.tag != berOID || len(e.contents) > 64 {
		return "", false
	}
	var oid asn1.ObjectIdentifier
	_, err := asn1.Unmarshal(append([]byte{berOID, byte(len(e.contents))}, e.contents...), &oid)
	return oid.String(), err == nil
}

// authSafeFault looks at the list of safes; none is no fault only where a MAC says so.
func authSafeFault(e berElement, mac bool) string {
	b, ok := e.octets()
	if !ok || e.tag != berOctets || berFault(b) != "" {
		return "has contents that are broken"
	}
	list, _, _ := berNext(b)
	safes, ok := list.children(0, berSequence)
	if !ok || len(safes) == 0 && !mac {
		return "has contents that are broken"
	}
	for _, safe := range safes {
		if fault := safeFault(safe); fault != "" {
			return fault
		}
	}
	return ""
}

func safeFault(e berElement) string {
	kind, contents, ok := contentInfo(e)
	if !ok {
		return "has a safe that is broken"
	}
	switch kind {
	case "1.2.840.113549.1.7.1":
		return openSafeFault(contents)
	case "1.2.840.113549.1.7.6":
		return sealedSafeFault(contents)
	case "1.2.840.113549.1.7.3":
		return "" // for a certificate instead of a password
	}
	return "has a safe of a kind that is not known"
}

// openSafeFault looks at bags that are not encrypted as a whole; keys in them are.
func openSafeFault(e berElement) string {
	b, ok := e.octets()
	if !ok || e.tag != berOctets || berFault(b) != "" {
		return "has a safe that is broken"
	}
	list, _, _ := berNext(b)
	bags, ok := list.children(0, berSequence)
	if !ok {
		return "has a safe that is broken"
	}
	for _, bag := range bags {
		parts, ok := bag.children(0, berSequence)
		if !ok || len(parts) < 2 || len(parts) > 3 {
			return "has a bag that is broken"
		}
		kind, ok := parts[0].oid()
		if !ok || parts[1].class != berContext || !parts[1].constructed {
			return "has a bag that is broken"
		}
		if fault := bagFault(kind, parts[1].contents); fault != "" {
			return fault
		}
	}
	return ""
}

func bagFault(kind string, value []byte) string {
	switch kind {
	case "1.2.840.113549.1.12.10.1.1":
		if _, fault := pkcs8Contents(value); fault != "" {
			return "has a key that " + fault
		}
	case "1.2.840.113549.1.12.10.1.2":
		if fault := pkcs8SealedFault(value); fault != "" {
			return "has a key that " + fault
		}
	case "1.2.840.113549.1.12.10.1.3", "1.2.840.113549.1.12.10.1.4", "1.2.840.113549.1.12.10.1.5", "1.2.840.113549.1.12.10.1.6":
		return ""
	default:
		return "has a bag of a kind that is not known"
	}
	return ""
}

// sealedSafeFault looks at EncryptedData of RFC 5652 section 8.
func sealedSafeFault(e berElement) string {
	const fault = "has an encrypted safe that is broken"
	parts, ok := e.children(0, berSequence)
	if !ok || len(parts) < 2 || parts[0].tag != berInteger {
		return fault
	}
	info, ok := parts[1].children(0, berSequence)
	if !ok || len(info) != 3 || info[2].class != berContext || info[2].tag != 0 {
		return fault
	}
	algorithm, ok := info[1].children(0, berSequence)
	if !ok || len(algorithm) != 2 {
		return fault
	}
	data, ok := info[2].octets()
	switch {
	case !ok || len(data) == 0:
		return fault
	case len(data)%8 != 0:
		return "has an encrypted safe that does not have whole blocks"
	case zeroRun(data, sealedZeros) >= 0:
		return "has an encrypted safe with a run of NUL bytes in it"
	}
	return ""
}

// pfxMACFault looks at MacData: a digest, a salt, and a count.
func pfxMACFault(e berElement) string {
	const fault = "has a MAC that is broken"
	parts, ok := e.children(0, berSequence)
	if !ok || len(parts) < 2 || len(parts) > 3 || parts[1].tag != berOctets || len(parts[1].contents) == 0 {
		return fault
	}
	if len(parts) == 3 && (parts[2].tag != berInteger || len(parts[2].contents) == 0) {
		return fault
	}
	info, ok := parts[0].children(0, berSequence)
	if !ok || len(info) != 2 || info[1].tag != berOctets {
		return fault
	}
	algorithm, ok := info[0].children(0, berSequence)
	if !ok || len(algorithm) == 0 {
		return fault
	}
	kind, ok := algorithm[0].oid()
	want := digestSizes()[kind]
	if !ok || want == 0 && kind != "1.2.840.113549.1.5.14" || want > 0 && len(info[1].contents) != want {
		return fault
	}
	return ""
}

// digestSizes gives the lengths of the digests that MACs are made with.
func digestSizes() map[string]int {
	return map[string]int{
		"1.2.840.113549.2.5":     16, // MD5
		"1.3.14.3.2.26":          20, // SHA-1
		"2.16.840.1.101.3.4.2.4": 28, "2.16.840.1.101.3.4.2.1": 32,
		"2.16.840.1.101.3.4.2.2": 48, "2.16.840.1.101.3.4.2.3": 64,
		"2.16.840.1.101.3.4.2.5": 28, "2.16.840.1.101.3.4.2.6": 28,
		"2.16.840.1.101.3.4.2.7": 28, "2.16.840.1.101.3.4.2.8": 32,
		"2.16.840.1.101.3.4.2.9": 48, "2.16.840.1.101.3.4.2.10": 64,
	}
}
