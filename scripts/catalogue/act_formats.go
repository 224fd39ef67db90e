package main

// formatActs change files that have a format, as programs do that know it, and as
// people do who make mistakes: what they broke is theirs.
func formatActs() []act {
	here := []string{prefs, data, books}
	return []act{
		{name: "JSON with a syntax error, by sed -i", program: "sed", classes: here, seed: []string{"data.json"},
			do: `sed -i '0,/,$/s/,$//' data.json; ! python3 -m json.tool data.json >/dev/null 2>&1`},
		{name: "YAML with a syntax error, by sed -i", program: "sed", classes: here, seed: []string{"conf.yaml"},
			do: `sed -i 's/^name: .*/name: "alpha/' conf.yaml`},
		{name: "TOML with a syntax error, by sed -i", program: "sed", classes: here, seed: []string{"app.toml"},
			do: `sed -i 's/^name = .*/name = alpha/' app.toml`},
		{name: "XML with a syntax error, by vim", program: "vim", classes: here, seed: []string{"app.xml"},
			do: `vim -Nu NONE -i NONE -n -es -c '%s/<\/name>//' -c wq app.xml </dev/null`},
		{name: "a keyfile with a syntax error, by ed", program: "ed", classes: []string{books},
			do: `printf '/connection/s/.$//\nw\nq\n' | ed -s "$F" >/dev/null`},
		{name: "an SSH key with a typo, by nano", program: "nano", classes: []string{keys}, needs: []string{"script"},
			do: `{ sleep 1; printf 'x \017'; sleep 0.5; printf '\r'; sleep 0.5; printf '\030'; sleep 0.3; } |
				TERM=xterm script -qec 'nano --ignorercfiles "$B"' /dev/null >/dev/null; grep -q '^x -' "$B"`},
		{name: "JSON reformatted by json.tool", program: "python3", classes: here, seed: []string{"data.json"},
			do: `python3 -m json.tool --indent 1 data.json new.json; mv new.json data.json`},
		{name: "JSON made compact by jq", program: "jq", classes: here, seed: []string{"data.json"},
			do: `jq -c . data.json >new.json && mv new.json data.json`},
		{name: "JSON gets comments", program: "sed", classes: here, seed: []string{"data.json"},
			do: `sed -i '1i // settings of mine' data.json`},
		{name: "JSON becomes YAML under its old name", program: "python3", classes: here, seed: []string{"data.json"},
			do: `python3 -c '
import json
d = json.load(open("data.json"))
open("data.json", "w").write("".join("%s: %s\n" % (k, v) for k, v in d.items()))'`},
		{name: "YAML edited", program: "sed", classes: here, seed: []string{"conf.yaml"}, do: `sed -i 's/^name: .*/name: beta/' conf.yaml`},
		{name: "TOML edited", program: "sed", classes: here, seed: []string{"app.toml"}, do: `sed -i 's/^name = .*/name = "beta"/' app.toml`},
		{name: "XML written anew by a library", program: "python3", classes: here, seed: []string{"app.xml"},
			do: `python3 -c '
import xml.etree.ElementTree as e
t = e.parse("app.xml"); t.getroot().find("name").text = "beta"; t.write("app.xml")'`},
		{name: "a plist becomes binary", program: "python3", classes: here,
			prepare: `python3 -c '
import os, plistlib
plistlib.dump({"name": "alpha", "at": os.getcwd()}, open("app.plist", "wb"))'`,
			do: `python3 -c '
import plistlib
d = plistlib.load(open("app.plist", "rb")); plistlib.dump(d, open("app.plist", "wb"), fmt=plistlib.FMT_BINARY)'`},
		{name: "an INI file written anew by a library", program: "python3", classes: []string{prefs, data}, seed: []string{"settings.conf"},
			do: `python3 -c '
import configparser
c = configparser.ConfigParser(); c.read("settings.conf"); c.set("app", "name", "beta"); c.write(open("settings.conf", "w"))'`},
		{name: "text changes its encoding", program: "iconv", classes: uncritical(),
			prepare: `printf 'Gr\303\274\303\237e %s\n' "$PWD" >words.txt`, do: `iconv -t UTF-16 words.txt >new; mv new words.txt`},
		{name: "text gets other ends of lines", program: "sed", do: `sed -i 's/$/\r/' "$F"`},
		{name: "a contact is edited", program: "sed", classes: []string{data}, seed: []string{"contacts.vcf"},
			do: `sed -i 's/^FN:.*/FN:Beta/' contacts.vcf`},
		{name: "an appointment is added", program: "python3", classes: []string{data}, seed: []string{"calendar.ics"},
			do: `python3 -c '
t = open("calendar.ics", newline="").read()
e = "BEGIN:VEVENT\r\nUID:beta\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260102T000000Z\r\nSUMMARY:beta\r\nEND:VEVENT\r\n"
open("calendar.ics", "w", newline="").write(t.replace("END:VCALENDAR", e + "END:VCALENDAR"))'`},
	}
}

// mediaActs change pictures and documents.
func mediaActs() []act {
	images := []string{data, prefs}
	return []act{
		{name: "a photo is turned, by a new file and rename", program: "go image", classes: images, seed: []string{"shot.jpg"},
			apply: turning("shot.jpg", ".shot.jpg.new", "shot.jpg")},
		{name: "a photo is turned, written in place", program: "go image", classes: images, seed: []string{"shot.jpg"},
			apply: turning("shot.jpg", "shot.jpg", "")},
		{name: "a picture is encoded anew", program: "go image", classes: images, seed: []string{"logo.png"},
			apply: turning("logo.png", "logo.png", "")},
		{name: "a JPEG becomes a PNG under its old name", program: "go image", classes: []string{data}, seed: []string{"shot.jpg"},
			apply: turning("shot.jpg", "new.png", "shot.jpg")},
		{name: "a PDF is saved incrementally", program: "python3", classes: []string{data}, seed: []string{"letter.pdf"},
			do: `python3 -c '
import re
old = open("letter.pdf", "rb").read(); start = int(re.findall(rb"startxref\s+(\d+)", old)[-1])
new = b"\n4 0 obj\n<</Type/Annot/Subtype/Text/Contents(beta)/Rect[0 0 9 9]>>\nendobj\n"; at = len(old) + 1
tail = b"xref\n4 1\n%010d 00000 n \ntrailer\n<</Size 5/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n" % (at, start, len(old) + len(new))
open("letter.pdf", "ab").write(new + tail)'`},
		{name: "an office document is saved, with its lock file", program: "python3", classes: []string{data, prefs}, seed: []string{"report.odt"},
			prepare: `printf 'me,host' >".~lock.report.odt#"`,
			do: `python3 -c '
import os, zipfile
with zipfile.ZipFile("report.odt") as old, zipfile.ZipFile("lu12.tmp", "w", zipfile.ZIP_DEFLATED) as new:
    for n in old.namelist(): new.writestr(n, old.read(n).replace(b"alpha", b"beta"))
os.replace("lu12.tmp", "report.odt"); os.unlink(".~lock.report.odt#")'`, goes: []string{".~lock.report.odt#"}},
		{name: "an office document grows in place", program: "zip", classes: []string{data}, seed: []string{"report.odt"},
			do: `echo beta >Note.xml; zip -q report.odt Note.xml; rm Note.xml`},
	}
}
