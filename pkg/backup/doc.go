// Package backup owns the making of a data set (FIG. 5, steps 518 to 524): what
// of the user-data space goes into it, what of the last good one is held on to
// because the device's copy is damaged, and the order in which sealed blobs
// reach the reader.
//
// A Runner carries out one backup and starts nothing of its own. The device's
// daemon imports it; it knows neither D-Bus nor any hardware.
package backup
