// Package desktop asks the owner what the device wants to know, on a desktop: through
// notifications (org.freedesktop.Notifications on the session bus) with buttons where
// a choice is enough, and through a pinentry program for what is entered. It is a
// busapi.Prompter and a busapi.Notifier, and knows nothing of the device but what its
// questions say.
//
// Open connects to the session bus, Close leaves it; nothing runs in between but the
// questions that are open. Only pkg/cli imports it, for scrctl agent --desktop.
package desktop
