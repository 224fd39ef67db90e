package watch

// ProbeFanotify tells why fanotify cannot watch the file system of a directory.
func ProbeFanotify(dir string) error {
	f, err := openFan()
	if err != nil {
		return err
	}
	defer f.close()
	return f.add("probe", dir, nil)
}
