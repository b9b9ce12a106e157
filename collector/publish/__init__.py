"""The readers' side of the collector: the event stream and the incidents."""
