"""The collector: receive → correlate → store → publish; audit brings in control-plane logs."""
