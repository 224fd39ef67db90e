package reprovision

import (
	"context"
	"fmt"
	"slices"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// takeUp runs the hook of a class if something of the class was written, or if
// an earlier run wrote something and was cut short before the hook. A hook that
// fails is not owed any longer: it ran. One that the end of ctx cut short is.
func (j *job) takeUp(ctx context.Context, c userdata.Class, wrote bool) {
	if wrote || slices.Contains(j.Due, c) {
		j.runHook(ctx, c)
	}
	if ctx.Err() == nil {
		j.owe(c, false)
	}
}

func (j *job) runHook(ctx context.Context, c userdata.Class) {
	if j.Hook == nil {
		return
	}
	if err := j.Hook(ctx, c); err != nil {
		j.noteHook(c, err)
	}
}

// owe lets the caller note durably that the hook of a class is owed. Where that
// fails the restore goes on: the data matters more, and the hook is lost only
// if this run is killed as well.
func (j *job) owe(c userdata.Class, owed bool) {
	if j.Owe == nil || j.Hook == nil {
		return
	}
	if err := j.Owe(c, owed); err != nil {
		j.noteHook(c, fmt.Errorf("cannot note whether the hook is owed: %w", err))
	}
}

func (j *job) noteHook(c userdata.Class, err error) {
	j.Log.Warn("hook failed", "class", c, "error", err)
	j.result.Hooks = append(j.result.Hooks, fmt.Sprintf("%s: %v", c, err))
}
