"""The wheel without extras: it imports, and says what is missing."""

import writebehind

message = ""
try:
    writebehind.WriteBehind().open()
except writebehind.ConfigurationError as error:
    message = str(error)
if "writebehind[embedded]" not in message:
    raise SystemExit(f"without its extra, the embedded cache must name it: {message!r}")
