"""L3: bones of a CT that has no labels, without a trained network or with TotalSegmentator."""
