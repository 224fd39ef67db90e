// Package linktest is the conformance suite of links. Every implementation of
// link.Dialer and link.Listener runs it:
//
//	linktest.Run(t, func(t *testing.T) linktest.Pair { ... })
//
// Only tests import it.
package linktest
