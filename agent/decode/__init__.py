"""Ring bytes to events; `Decoder` is the door."""
