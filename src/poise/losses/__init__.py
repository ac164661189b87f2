"""The loss terms of the incidents, as functions of tensors that can be used by themselves."""
