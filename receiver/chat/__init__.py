"""Where incidents are told, and the pump that tells them."""
