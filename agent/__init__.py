"""The node agent: source → decode → identify → learn → detect → spool → uplink."""
