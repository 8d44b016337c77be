"""What a real cluster tells about Calico's own state, by whichever way is permitted."""
