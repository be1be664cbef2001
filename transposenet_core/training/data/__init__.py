"""What a training reads: pixels, depth, labels and which frames are held out."""
