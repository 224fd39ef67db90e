package main

// sshActs are done to SSH keys and known hosts.
func sshActs() []act {
	only := []string{keys}
	const host = `ssh-keygen -q -t ed25519 -N '' -f "$T/host"; `
	return []act{
		{name: "ssh-keygen -p sets a passphrase", program: "ssh-keygen", classes: only, do: `ssh-keygen -q -p -P '' -N words -f "$B"`},
		{name: "ssh-keygen -p takes the passphrase away", program: "ssh-keygen", classes: only,
			prepare: `ssh-keygen -q -p -P '' -N words -f "$B"`, do: `ssh-keygen -q -p -P words -N '' -f "$B"`},
		{name: "ssh-keygen -p converts PEM to the new format", program: "ssh-keygen", classes: only,
			prepare: `ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f id_rsa`, do: `ssh-keygen -q -p -P '' -N '' -f id_rsa`},
		{name: "ssh-keygen -c changes the comment", program: "ssh-keygen", classes: only, do: `ssh-keygen -q -c -P '' -C other -f "$B"`},
		{name: "ssh-keygen makes a new key in place of the old", program: "ssh-keygen", classes: only,
			do: `echo y | ssh-keygen -q -t ed25519 -N '' -f "$B" >/dev/null`},
		{name: "a new key in place of the old, whose .pub stays", program: "ssh-keygen", classes: only,
			do: `ssh-keygen -q -t ed25519 -N '' -f "$T/new" && mv "$T/new" "$B"`},
		{name: "ssh-keygen: rm of the old pair, a new one", program: "ssh-keygen", classes: only,
			do: `rm "$B" "$B.pub"; ssh-keygen -q -t ed25519 -N '' -f "$B"`},
		{name: "ssh-keygen -y writes the public key anew", program: "ssh-keygen", classes: only, do: `ssh-keygen -y -f "$B" >"$B.pub"`},
		{name: "ssh-keygen -s signs the key", program: "ssh-keygen", classes: only,
			do: `ssh-keygen -q -t ed25519 -N '' -f "$T/ca"; ssh-keygen -q -s "$T/ca" -I me -n me "$B.pub"`, comes: []string{"$B-cert.pub"}},
		{name: "ssh-keygen -R forgets a host", program: "ssh-keygen", classes: only,
			prepare: host + `printf 'one.example %s\ntwo.example %s\n' "$(cut -d' ' -f-2 "$T/host.pub")" "$(cut -d' ' -f-2 "$T/host.pub")" >>"$F"`,
			do:      `ssh-keygen -R one.example -f "$F" >/dev/null 2>&1`, comes: []string{"$F.old"}},
		{name: "ssh-keygen -R forgets the only host", program: "ssh-keygen", classes: only,
			prepare: host + `printf 'one.example %s\n' "$(cut -d' ' -f-2 "$T/host.pub")" >"$F"`,
			do:      `ssh-keygen -R one.example -f "$F" >/dev/null 2>&1`, comes: []string{"$F.old", "$F"}},
		{name: "ssh-keygen -H hides the names of hosts", program: "ssh-keygen", classes: only,
			prepare: host + `printf 'one.example %s\n' "$(cut -d' ' -f-2 "$T/host.pub")" >>"$F"`,
			do:      `ssh-keygen -H -f "$F" >/dev/null 2>&1; rm "$F.old"`},
		{name: "an authorized key is added and one removed", program: "sed", classes: only, seed: []string{"authorized_keys"},
			do: `sed -i '/old@/d' authorized_keys; cat "$B.pub" >>authorized_keys`},
	}
}

// certificateActs are done with openssl.
func certificateActs() []act {
	only := []string{keys}
	seed := []string{"server.pem", "server.crt"}
	return []act{
		{name: "openssl pkcs8 -topk8 encrypts a key", program: "openssl", classes: only, seed: seed,
			do: `openssl pkcs8 -topk8 -in server.pem -passout pass:words -out new.pem; chmod 600 new.pem; mv new.pem server.pem`},
		{name: "openssl pkey converts a key, in place", program: "openssl", classes: only, seed: seed,
			do: `openssl ec -in server.pem -outform PEM -out "$T/new" 2>/dev/null; cat "$T/new" >server.pem; grep -q 'EC PRIVATE' server.pem`},
		{name: "openssl: PEM to DER under the same name", program: "openssl", classes: only, seed: seed,
			do: `openssl pkey -in server.pem -outform DER -out new; mv new server.pem; openssl x509 -in server.crt -outform DER -out new; mv new server.crt`},
		{name: "a certificate is renewed", program: "openssl", classes: []string{books, keys}, seed: seed,
			do: `openssl req -x509 -new -key server.pem -subj /CN=renewed -days 90 -out server.crt`},
		{name: "a key and its certificate are replaced", program: "openssl", classes: only, seed: seed,
			do: `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=renewed -keyout server.pem -out server.crt 2>/dev/null`},
		{name: "PKCS#12 exported anew with another password", program: "openssl", classes: []string{books, keys}, seed: seed,
			prepare: `openssl pkcs12 -export -inkey server.pem -in server.crt -passout pass:one -out me.p12`,
			do: `openssl pkcs12 -in me.p12 -passin pass:one -nodes -out "$T/all" 2>/dev/null
				openssl pkcs12 -export -in "$T/all" -passout pass:two -out me.p12`},
		{name: "openssl ca writes index and serial", program: "openssl", classes: only, seed: seed,
			prepare: certificateAuthority + `: >index.txt; echo 01 >serial; sign one`,
			do:      certificateAuthority + `sign two; [ -e index.txt.old ]`},
	}
}

// certificateAuthority defines sign NAME.
const certificateAuthority = `sign() {
	printf '[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\nCN=supplied\n' >"$T/ca.conf"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$T/$1.key" -out "$T/$1.csr" 2>/dev/null
	openssl ca -batch -config "$T/ca.conf" -keyfile server.pem -cert server.crt -days 9 -in "$T/$1.csr" -out "$T/$1.crt" 2>/dev/null
}
`

// gpgHome makes a GnuPG home outside the space, whose agent ends with the script.
const gpgHome = `mkdir -m 700 "$T/gnupg"; export GNUPGHOME=$T/gnupg; trap 'gpgconf --kill all' EXIT; `

// gpgHere makes the act's own directory the GnuPG home, by a name that is short
// enough for its sockets.
const gpgHere = `mkdir -p -m 700 gnupg; short=$(mktemp -u /tmp/gpg-XXXXXX); ln -s "$PWD/gnupg" "$short"; export GNUPGHOME=$short
	trap 'gpgconf --kill all; rm -f "$short"' EXIT
	exec 2>"$T/gpg.log"
	g() { gpg --batch --yes --no-tty --pinentry-mode loopback "$@"; }
	`

// gpgActs are done to a GnuPG home among the keys.
func gpgActs() []act {
	only := []string{keys}
	first := gpgHere + `g --passphrase old --quick-gen-key 'A <a@example.org>' ed25519 sign never`
	gpg := func(name, prepare, do string) act {
		return act{name: name, program: "gpg", needs: []string{"gpgconf", "gpg-connect-agent"}, classes: only, prepare: prepare, do: gpgHere + do}
	}
	signs := gpg("gpg signs; its agent, locks and sockets come and go", first, `
			for i in 1 2 3; do echo text | g --passphrase old --clearsign >"$T/signed.$i"; sleep 1; done`)
	signs.traceless = true
	return []act{
		signs,
		gpg("gpg --quick-gen-key, the first", "", `g --passphrase old --quick-gen-key 'A <a@example.org>' ed25519 sign never`),
		gpg("gpg --quick-gen-key, another", first, `g --passphrase old --quick-gen-key 'B <b@example.org>' ed25519 sign never`),
		gpg("gpg --change-passphrase", first, `printf 'old\nnew\n' | gpg --yes --no-tty --pinentry-mode loopback --command-fd 0 --change-passphrase a@example.org`),
		gpg("gpg --quick-add-key", first, `g --passphrase old --quick-add-key "$(gpg --list-keys --with-colons | sed -n 's/^fpr:*\([0-9A-F]*\):/\1/p' | head -1)" cv25519 encr never`),
		gpg("gpg --quick-add-uid", first, `g --passphrase old --quick-add-uid a@example.org 'Second <second@example.org>'`),
		gpg("gpg --import, --import-ownertrust", first, `
			( GNUPGHOME=$(mktemp -d /tmp/gpg-XXXXXX); export GNUPGHOME; trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"' EXIT
			  g --passphrase x --quick-gen-key 'C <c@example.org>' ed25519 sign never; gpg --armor --export c@example.org >"$T/c.asc" )
			g --import "$T/c.asc"; gpg --export-ownertrust | g --import-ownertrust`),
		gpg("gpg --delete-keys of a public key", first+`
			( GNUPGHOME=$(mktemp -d /tmp/gpg-XXXXXX); export GNUPGHOME; trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"' EXIT
			  g --passphrase x --quick-gen-key 'C <c@example.org>' ed25519 sign never; gpg --armor --export c@example.org >"$T/c.asc" )
			g --import "$T/c.asc"`, `g --delete-keys c@example.org`),
		gpg("a gpg lock file is left behind, and swept up later", first+`
			touch "gnupg/.#lk0x0000555500001111.host.4711"; ln "gnupg/.#lk0x0000555500001111.host.4711" "gnupg/pubring.kbx.lock"`,
			`rm gnupg/.#lk* gnupg/pubring.kbx.lock; g --passphrase old --quick-set-expire "$(gpg --list-keys --with-colons | sed -n 's/^fpr:*\([0-9A-F]*\):/\1/p' | head -1)" 2y`),
	}
}
