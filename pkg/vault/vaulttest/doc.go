// Package vaulttest helps to test implementations and users of vault.Store: a
// conformance suite that every implementation has to pass, a store in memory,
// and a wrapper that injects faults. Only tests import it.
package vaulttest
