// Package pinentry asks a person for a secret through a pinentry program, by the
// Assuan protocol that GnuPG speaks with it.
//
// Each question runs the program anew and ends it; there is nothing to open or to
// close. What the program says is bounded in size, and is otherwise not trusted.
// Package desktop imports it.
package pinentry
