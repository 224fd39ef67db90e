// Package backup owns FIG. 5 (steps 510 to 524). Step and Drive are the figure
// itself. A Schedule says when the next backup is due, by a clock that no one can
// set (Clock), and an Alarm wakes whoever waits for that. Fill makes a data set:
// what of the user-data space goes into it, what of the last good one is held on
// to because the device's copy is damaged, and the order in which sealed blobs
// reach the reader.
//
// Nothing here starts anything but an Alarm, while its Run runs. The daemons
// import it: the device's for all of it, the reader's to tell how old is too old.
// It knows neither D-Bus nor any hardware.
package backup
