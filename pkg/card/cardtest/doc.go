// Package cardtest owns the conformance suites that every card.Medium and
// card.Reader has to pass, and a Medium that fails on purpose.
//
// An implementation's tests call TestMedium and TestReader with a function that
// makes a fresh one, and profiles of cards TestCuts, TestEffort and FuzzAnswers
// with a kind of virtual card. The package may be imported by tests only.
package cardtest
