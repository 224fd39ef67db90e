// Package reprovision owns the way back (FIG. 6, steps 610 to 624): the step
// machine, the plan of what to restore, the writing of items into the
// user-data space, the quarantine for what they replace, and the proof that
// what was restored reads back as it was saved.
//
// Every step can be repeated: an interrupted reprovision is run again from the
// start and finds most of its work done. The device's daemon imports it; it
// knows neither D-Bus nor any hardware.
package reprovision
