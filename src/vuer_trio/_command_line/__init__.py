"""What the commands `vuer-trio` and `roomz-cli` share: their parser, colours, and suggestions."""
