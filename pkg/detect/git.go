package detect

import (
	"strings"

	"github.com/reprovision/reprovision/pkg/userdata"
)

// keptByGit tells whether an item lies in a git repository that is still there. git
// moves what it keeps from loose objects and references into packs, and drops what
// nobody needs.
func (j *judgement) keptByGit(n userdata.Name) bool {
	i := strings.LastIndex(string(n), "/.git/")
	if i < 0 {
		return false
	}
	rest := string(n)[i+len("/.git/"):]
	if !strings.HasPrefix(rest, "objects/") && !strings.HasPrefix(rest, "refs/") && !strings.HasPrefix(rest, "logs/") && strings.Contains(rest, "/") {
		return false
	}
	head, there := j.now.Manifest.Find(n[:i] + "/.git/HEAD")
	return there && head.Size > 0 && rest != "HEAD" && rest != "config"
}
