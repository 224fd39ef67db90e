# See docs/development.md. Each target that does more than copy files is a
# script of the same name, which says in its head what it does.

PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
BINDIR     ?= $(PREFIX)/bin
DATADIR    ?= $(PREFIX)/share
DOCDIR     ?= $(DATADIR)/doc/reprovision
SYSTEMDDIR ?= $(PREFIX)/lib

# The bus and polkit read their policies below /usr/share and /etc only.
ifeq ($(PREFIX),/usr)
DBUSPOLICYDIR ?= /usr/share/dbus-1/system.d
else
DBUSPOLICYDIR ?= $(SYSCONFDIR)/dbus-1/system.d
endif
POLKITDIR ?= /usr/share/polkit-1

# Where the programs to be installed are: bin/arm64 after scripts/build --arch=arm64.
BIN ?= bin

FUZZTIME ?= 1m
export FUZZTIME

.DEFAULT_GOAL := build
.PHONY: demo test test-vm bench build install deb lint fuzz clean

demo:
	@scripts/demo

test:
	@scripts/test

test-vm:
	@scripts/test-vm

bench:
	@scripts/install-deps --bench || echo "going on with what is there" >&2
	@go test -run '^$$' -bench . -benchtime 0.5s ./pkg/scan ./pkg/vault ./pkg/vault/bolt
	@go run ./scripts/bench $(if $(WRITE),-write)

build:
	@scripts/build

lint:
	@scripts/lint

fuzz:
	@scripts/fuzz

# Files that an administrator may have changed are never overwritten.
install: build
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(DOCDIR)/examples
	install -m 0755 $(BIN)/reprovisiond $(BIN)/scrd $(BIN)/scrctl $(DESTDIR)$(BINDIR)
	install -m 0644 LICENSE $(wildcard README.md docs/*.md) $(DESTDIR)$(DOCDIR)
	install -m 0644 docs/examples/*.toml docs/examples/*.rules docs/examples/*.conf $(DESTDIR)$(DOCDIR)/examples
	install -d $(DESTDIR)$(DOCDIR)/panel
	install -m 0644 docs/*.svg $(DESTDIR)$(DOCDIR)
	install -m 0644 docs/panel/*.png $(DESTDIR)$(DOCDIR)/panel
	install -d $(DESTDIR)$(DOCDIR)/examples/client
	install -m 0644 docs/examples/client.py $(DESTDIR)$(DOCDIR)/examples
	install -m 0644 docs/examples/client/main.go $(DESTDIR)$(DOCDIR)/examples/client
	install -d -m 0755 $(DESTDIR)$(SYSCONFDIR)/reprovision
	for f in reprovisiond scrd; do \
		to=$(DESTDIR)$(SYSCONFDIR)/reprovision/$$f.toml; \
		[ -e "$$to" ] || install -m 0644 docs/examples/$$f.toml "$$to" || exit 1; \
	done
	install -d $(DESTDIR)$(SYSTEMDDIR)/systemd/system $(DESTDIR)$(SYSTEMDDIR)/sysusers.d $(DESTDIR)$(SYSTEMDDIR)/tmpfiles.d
	for f in reprovisiond scrd; do \
		sed 's,/usr/bin/,$(BINDIR)/,' systemd/$$f.service >bin/$$f.service && \
		install -m 0644 bin/$$f.service $(DESTDIR)$(SYSTEMDDIR)/systemd/system || exit 1; \
	done
	install -d $(DESTDIR)$(SYSTEMDDIR)/systemd/system/bluetooth.service.d
	install -m 0644 systemd/bluetooth-watchdog.conf $(DESTDIR)$(SYSTEMDDIR)/systemd/system/bluetooth.service.d/reprovision.conf
	install -m 0644 systemd/reprovision-authorized.target systemd/reprovision-expiry.service systemd/reprovision-unauthorized.service $(DESTDIR)$(SYSTEMDDIR)/systemd/system
	install -d $(DESTDIR)$(SYSTEMDDIR)/systemd/user
	sed 's,/usr/bin/,$(BINDIR)/,' systemd/user/reprovision-agent.service >bin/reprovision-agent.service
	install -m 0644 bin/reprovision-agent.service $(DESTDIR)$(SYSTEMDDIR)/systemd/user
	install -m 0644 systemd/scrd.sysusers $(DESTDIR)$(SYSTEMDDIR)/sysusers.d/scrd.conf
	for f in reprovisiond scrd; do install -m 0644 systemd/$$f.tmpfiles $(DESTDIR)$(SYSTEMDDIR)/tmpfiles.d/$$f.conf || exit 1; done
	install -d $(DESTDIR)$(DBUSPOLICYDIR) $(DESTDIR)$(DATADIR)/dbus-1/system-services $(DESTDIR)$(DATADIR)/dbus-1/interfaces
	install -m 0644 dbus/org.reprovision.*.conf $(DESTDIR)$(DBUSPOLICYDIR)
	install -m 0644 dbus/org.reprovision.*.service $(DESTDIR)$(DATADIR)/dbus-1/system-services
	install -m 0644 dbus/org.reprovision.*.xml $(DESTDIR)$(DATADIR)/dbus-1/interfaces
	install -d $(DESTDIR)$(POLKITDIR)/actions $(DESTDIR)$(POLKITDIR)/rules.d
	install -m 0644 dbus/org.reprovision.policy $(DESTDIR)$(POLKITDIR)/actions
	install -m 0644 systemd/org.reprovision.scrd.rules $(DESTDIR)$(POLKITDIR)/rules.d
	install -d $(DESTDIR)$(DATADIR)/bash-completion/completions $(DESTDIR)$(DATADIR)/zsh/site-functions $(DESTDIR)$(DATADIR)/fish/vendor_completions.d
	install -d $(DESTDIR)$(DATADIR)/man/man1 $(DESTDIR)$(DATADIR)/man/man8
	rm -rf bin/man && go run ./scripts/man bin/man
	install -m 0644 bin/man/*.1 $(DESTDIR)$(DATADIR)/man/man1
	install -m 0644 bin/man/*.8 $(DESTDIR)$(DATADIR)/man/man8
	bin/scrctl completion bash >$(DESTDIR)$(DATADIR)/bash-completion/completions/scrctl
	bin/scrctl completion zsh >$(DESTDIR)$(DATADIR)/zsh/site-functions/_scrctl
	bin/scrctl completion fish >$(DESTDIR)$(DATADIR)/fish/vendor_completions.d/scrctl.fish

deb:
	@scripts/deb

clean:
	rm -rf bin .cache
