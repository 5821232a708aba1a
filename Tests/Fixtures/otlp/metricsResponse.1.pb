
	
back\slash