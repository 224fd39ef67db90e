package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// onDevice is the scene on a medium below the device mapper.
const onDevice = "device"

// deviceKinds are faults of the medium itself, as the block layer has them.
func deviceKinds() []kind {
	spoilt := func(name, format, target string) kind {
		return kind{
			name: name, scene: onDevice, format: format, on: everywhere(), want: corrupted(), root: true, deep: true, when: spotted,
			inject: func(_ context.Context, v *victim) error { return v.rig.image.spoil(v.path, target) },
		}
	}
	flaky := spoilt("dm-flakey: a file can be read now and then", "text", flakySpot)
	flaky.when, flaky.want = flickering, []string{"corrupted", "unavailable"}
	unlisted := spoilt("dm-error: a directory cannot be listed", "box", unreadableSpot)
	unlisted.when = unlistable
	lost := spoilt("dm-flakey: a write is lost, after it was saved", "long", lossySpot)
	lost.when = lossy
	gone := kind{
		name: "dm-error: the whole medium cannot be read", scene: onDevice, on: everywhere(), want: []string{"unavailable"}, root: true, when: dead,
	}
	return []kind{
		spoilt("dm-error: the blocks of a file cannot be read", "long", unreadableSpot),
		spoilt("dm-flakey: wrong bytes are read (text)", "text", wrongSpot),
		spoilt("dm-flakey: wrong bytes are read (unknown format)", "binary", wrongSpot),
		flaky, lost, gone,
		failing("file deleted", "text", erased(), func(v *victim) error { return os.Remove(v.path) }),
		failing("all NUL", "text", corrupted(), func(v *victim) error { return v.write(make([]byte, len(v.data()))) }),
		unlisted,
	}
}

// failing is harm on a file system that goes read-only when it finds an error in
// itself.
func failing(name, format string, want []string, harm func(v *victim) error) kind {
	k := loss("ext4 goes read-only upon an error: "+name, format, want, harm)
	k.scene, k.when, k.root = onDevice, failed, true
	return k
}

// whileSpotted harms blocks of the medium, which are good again when the batch is
// over.
func (st *stage) whileSpotted(ctx context.Context, b *batch) error {
	b.begin()
	for _, t := range b.trials {
		t.harm(ctx)
	}
	if err := st.rig.image.engage(ctx); err != nil {
		return err
	}
	if err := errors.Join(b.follow(ctx), st.rig.image.disengage(ctx)); err != nil {
		return err
	}
	return b.clear(ctx)
}

// whileUnlistable has the daemon look at directories that cannot be listed, in a file
// system that then goes read-only, until the medium is mended and mounted again.
func (st *stage) whileUnlistable(ctx context.Context, b *batch) error {
	b.begin()
	for _, t := range b.trials {
		t.harm(ctx)
	}
	if err := st.rig.image.engage(ctx); err != nil {
		return err
	}
	for range 2 {
		if err := errors.Join(b.ask(ctx), pause(ctx, quiet)); err != nil {
			return err
		}
	}
	if err := errors.Join(st.rig.image.disengage(ctx), st.rig.image.again(ctx)); err != nil {
		return err
	}
	b.deep, b.asked = false, 0
	if err := b.follow(ctx); err != nil {
		return err
	}
	return b.clear(ctx)
}

// whileFlickering has the daemon look several times while reads fail now and then,
// and mends the medium: whatever was made of it, the files must be there in the end.
func (st *stage) whileFlickering(ctx context.Context, b *batch) error {
	b.begin()
	for _, t := range b.trials {
		t.harm(ctx)
	}
	if err := st.rig.image.engage(ctx); err != nil {
		return err
	}
	for range 4 {
		if err := errors.Join(forgetAll(), b.ask(ctx), pause(ctx, 700*time.Millisecond)); err != nil {
			return err
		}
	}
	if err := st.rig.image.disengage(ctx); err != nil {
		return err
	}
	b.deep, b.asked = false, 0
	if err := b.follow(ctx); err != nil {
		return err
	}
	return b.clear(ctx)
}

// overwrite writes other contents over those of the file, in the same blocks, and
// remembers it so.
func (v *victim) overwrite() error {
	f, err := os.OpenFile(v.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(prose(v.rnd, len(v.data()))[:len(v.data())], 0)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	v.kept = nil
	return v.keep(v.path)
}

// whileLossy saves what was written to a medium that does not keep it, and has the
// kernel forget it afterwards.
func (st *stage) whileLossy(ctx context.Context, b *batch) error {
	for _, t := range b.trials {
		t.harm(ctx)
	}
	if err := st.rig.image.engage(ctx); err != nil {
		return err
	}
	for _, t := range b.trials {
		if t.open() {
			t.refuse(t.v.overwrite())
		}
	}
	if err := st.rig.backup(ctx); err != nil {
		return err
	}
	if err := st.rig.settle(ctx, time.Now()); err != nil {
		return err
	}
	b.begin()
	for _, t := range b.trials {
		t.at = time.Now()
	}
	if err := st.rig.image.disengage(ctx); err != nil {
		return err
	}
	if err := b.follow(ctx); err != nil {
		return err
	}
	return b.clear(ctx)
}

// whileDead takes the whole medium away from below the file system that lies on it,
// which has to be mounted anew when it is back.
func (st *stage) whileDead(ctx context.Context, b *batch) error {
	image := st.rig.image
	return st.whileAway(ctx, b,
		func() error { return errors.Join(image.settleDown(ctx), image.mapper.die(ctx), forgetAll()) },
		func() error { return errors.Join(image.disengage(ctx), image.again(ctx)) })
}

// again mounts the image anew.
func (i *medium) again(ctx context.Context) error {
	return errors.Join(i.unmount(ctx), i.mount(ctx))
}

// whileFailed has the file system find an error in itself right after the harm.
// Nothing can be mended until somebody has mounted it again.
func (st *stage) whileFailed(ctx context.Context, b *batch) error {
	b.begin()
	for _, t := range b.trials {
		t.harm(ctx)
	}
	unix.Sync()
	if err := st.rig.image.mapper.stumble(); err != nil {
		return err
	}
	for range 2 {
		if err := errors.Join(b.ask(ctx), pause(ctx, quiet)); err != nil {
			return err
		}
	}
	b.listen()
	for _, t := range b.trials {
		if t.open() && t.whole {
			t.failed = errors.New("it was mended before the file system was read-only")
		}
	}
	if err := st.rig.image.again(ctx); err != nil {
		return err
	}
	b.asked = 0
	if err := b.follow(ctx); err != nil {
		return err
	}
	return b.clear(ctx)
}

// stumble has the kernel find an error in the ext4 file system on the device.
func (m *mapper) stumble() error {
	return os.WriteFile(filepath.Join("/sys/fs/ext4", filepath.Base(m.path()), "trigger_fs_error"), []byte("1"), 0)
}

// whileRemounted does its harm and mounts the image again, on another loop device:
// the numbers by which the kernel knows the files are others then.
func (st *stage) whileRemounted(ctx context.Context, b *batch) error {
	if st.rig.image == nil {
		return b.try(ctx) // they are skipped
	}
	return st.meanwhile(ctx, b, func() error { return nil }, func() error { return st.rig.image.elsewhere(ctx) })
}

// elsewhere mounts the image again on another loop device.
func (i *medium) elsewhere(ctx context.Context) error {
	if err := i.unmount(ctx); err != nil {
		return err
	}
	free, err := reserveLoop(ctx, i.file+".other")
	if err != nil {
		return err
	}
	return errors.Join(i.mount(ctx), free())
}
