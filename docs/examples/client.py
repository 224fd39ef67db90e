#!/usr/bin/python3
"""A D-Bus client: client.py pair ADDRESS | backup | restore. What the device asks is answered from
standard input. Needs python3-dbus and python3-gi."""
import sys
import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
owner = bus.get_name_owner("org.reprovision.Device")  # it alone may ask, and it alone is called
device = dbus.Interface(bus.get_object(owner, "/org/reprovision/Device", introspect=False), "org.reprovision.Device1")

def ask(question, sender):
    if sender != owner:
        raise dbus.DBusException("I answer the device only", name="org.reprovision.Error.NotAllowed")
    print(question, file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()

class Agent(dbus.service.Object):
    @dbus.service.method("org.reprovision.Agent1", "a{sv}", "s", sender_keyword="sender")
    def RequestPairingPasscode(self, details, sender):
        return ask("Passcode shown by %s:" % details["reader"], sender)

    @dbus.service.method("org.reprovision.Agent1", "a{sv}", "b", sender_keyword="sender")
    def ConfirmReprovision(self, summary, sender):
        return ask("Restore %d items? (y)" % summary["planned"], sender) == "y"

def call(method, *args):  # runs the main loop meanwhile, for the agent; a person may take longer than 25 s
    loop, outcome = GLib.MainLoop(), []
    def end(value=None):
        outcome.append(value)
        loop.quit()
    device.get_dbus_method(method)(*args, reply_handler=end, error_handler=end, timeout=86400)
    loop.run()
    if isinstance(outcome[0], dbus.DBusException):
        sys.exit("cannot %s: %s (%s)" % (method, outcome[0].get_dbus_message(), outcome[0].get_dbus_name()))
    return outcome[0]

agent, nothing = Agent(bus, "/example/agent"), dbus.Dictionary({}, signature="sv")
call("RegisterAgent", dbus.ObjectPath("/example/agent"))
if sys.argv[1] == "pair":
    print("paired with", call("Pair", sys.argv[2], nothing)["name"])
elif sys.argv[1] == "backup":
    print("snapshot", call("Backup", nothing)["snapshot"])
elif sys.argv[1] == "restore":
    result = call("Reprovision", nothing)
    print("restored %d, verified %d, failed %d" % (result["restored"], result["verified"], len(result["failed"])))
